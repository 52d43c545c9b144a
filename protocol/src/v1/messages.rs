//! What every message can: its number, itself as a frame, and itself out of one.

macro_rules! messages {
    ($message:ident: $($kind:literal $variant:ident $(($body:ty))?,)*) => {
        impl $message {
            /// The number of this message in a frame's header.
            #[must_use]
            pub fn kind(&self) -> u16 {
                match self { $(messages!(@pattern $variant _body $(($body))?) => $kind,)* }
            }

            /// The message as a frame.
            ///
            /// # Errors
            /// [`FrameError::TooLong`] if it is longer than any frame may be.
            pub fn encode(&self) -> Result<Frame, FrameError> {
                let body = match self { $(messages!(@pattern $variant body $(($body))?) => messages!(@encode body $(($body))?),)* };
                Ok(Frame { version: VERSION, kind: self.kind(), body: body? })
            }

            /// The message in a frame.
            ///
            /// # Errors
            /// [`FrameError::UnknownKind`], [`FrameError::Body`], [`FrameError::Trailing`].
            pub fn decode(frame: &Frame) -> Result<Self, FrameError> {
                Self::decode_body(frame.kind, &frame.body)
            }

            /// The message of number `kind` in `body`.
            ///
            /// # Errors
            /// As [`Self::decode`].
            pub fn decode_body(kind: u16, body: &[u8]) -> Result<Self, FrameError> {
                match kind {
                    $($kind => messages!(@decode $variant body $(($body))?),)*
                    other => Err(FrameError::UnknownKind(other)),
                }
            }
        }
    };
    (@pattern $variant:ident $body:ident ($type:ty)) => { Self::$variant($body) };
    (@pattern $variant:ident $body:ident) => { Self::$variant };
    (@encode $body:ident ($type:ty)) => { codec::encode($body) };
    (@encode $body:ident) => { codec::encode(&()) };
    (@decode $variant:ident $body:ident ($type:ty)) => { codec::decode::<$type>($body).map(Self::$variant) };
    (@decode $variant:ident $body:ident) => { codec::decode::<()>($body).map(|()| Self::$variant) };
}
