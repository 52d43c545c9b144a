//! What an agent reads from whoever reaches its socket: hello, frame, request.
#![no_main]

use cloud_agent_protocol::frame::{HEADER, MAX_REQUEST};
use cloud_agent_protocol::v1::Request;
use cloud_agent_protocol::{Frame, FrameHeader, hello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let start = match hello::parse(data) {
        hello::Parsed::Hello { consumed, .. } => consumed,
        _ => 0,
    };
    let mut rest = &data[start..];
    if let Some(header) = rest.first_chunk::<HEADER>()
        && let Ok(header) = FrameHeader::parse(*header, MAX_REQUEST)
    {
        assert!(header.body + HEADER <= MAX_REQUEST);
    }
    if let Ok(frame) = Frame::read(&mut rest, MAX_REQUEST)
        && let Ok(request) = Request::decode(&frame)
    {
        let again = Request::decode(&request.encode().expect("what was decoded can be encoded"));
        assert_eq!(again.expect("what was encoded can be decoded"), request);
    }
    // Bodies behind every number, without luck with the header.
    if let Some((kind, body)) = data.split_first() {
        let _ = Request::decode_body(u16::from(*kind % 16), body);
    }
});
