//! Bytes from a broken or hostile peer: an error each time, never a panic, never a large allocation.

mod samples;

use cloud_agent_protocol::frame::{HEADER, MAX_REQUEST, MAX_RESPONSE};
use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Frame, FrameError, FrameHeader, hello};
use proptest::prelude::*;

/// A varint of bincode that announces 2^40 of something.
const BOMB: [u8; 9] = [253, 0, 0, 0, 0, 0, 1, 0, 0];

#[test]
fn a_nine_byte_bomb_is_refused_by_every_message() {
    for kind in (0..=16).chain(0x8000..=0x8010) {
        for lead in 0..4 {
            let body = [vec![1; lead], BOMB.to_vec()].concat();
            assert!(Request::decode_body(kind, &body).is_err());
            assert!(Response::decode_body(kind, &body).is_err());
        }
    }
}

#[test]
fn a_message_with_bytes_behind_it_is_refused() {
    for (name, request) in samples::requests() {
        let mut body = request.encode().unwrap().body.to_vec();
        body.push(0);
        assert!(matches!(Request::decode_body(request.kind(), &body), Err(FrameError::Trailing)), "{name}");
    }
}

#[test]
fn an_unknown_message_is_told_from_a_broken_one() {
    assert!(matches!(Request::decode_body(999, &[]), Err(FrameError::UnknownKind(999))));
    assert!(matches!(Request::decode_body(1, &[]), Err(FrameError::Body(_))));
}

#[test]
fn a_message_longer_than_any_frame_is_not_encoded() {
    let done = Response::Done(cloud_agent_protocol::v1::Done { notes: vec!["x".repeat(MAX_RESPONSE)] });
    assert!(done.encode().is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_message_that_encodes_again(kind in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..512)) {
        for kind in [kind, kind % 12, 0x8000 | (kind % 12)] {
            if let Ok(request) = Request::decode_body(kind, &body) {
                prop_assert_eq!(Request::decode(&request.encode().unwrap()).unwrap(), request);
            }
            if let Ok(response) = Response::decode_body(kind, &body) {
                prop_assert_eq!(Response::decode(&response.encode().unwrap()).unwrap(), response);
            }
        }
    }

    #[test]
    fn a_mutated_message_is_an_error_or_a_message(index in 0..16_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let frames: Vec<Frame> = samples::requests().into_iter().map(|(_, m)| m.encode().unwrap())
            .chain(samples::responses().into_iter().map(|(_, m)| m.encode().unwrap())).collect();
        let frame = &frames[index % frames.len()];
        let mut body = frame.body.to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = Request::decode_body(frame.kind, &body);
        let _ = Response::decode_body(frame.kind, &body);
    }

    #[test]
    fn any_header_is_within_its_cap_or_refused(bytes in any::<[u8; HEADER]>()) {
        if let Ok(header) = FrameHeader::parse(bytes, MAX_REQUEST) {
            prop_assert!(header.body + HEADER <= MAX_REQUEST);
            prop_assert_eq!(header.encode(), bytes);
        }
    }

    #[test]
    fn any_hello_is_read_back(versions in prop::collection::vec(any::<u16>(), 1..=16)) {
        let bytes = hello::encode(&versions);
        let consumed = bytes.len();
        let hello::Parsed::Hello { versions: read, consumed: length } = hello::parse(&bytes) else { panic!("no hello") };
        prop_assert_eq!((read.iter().collect::<Vec<_>>(), length), (versions, consumed));
    }

    #[test]
    fn any_bytes_are_no_hello_a_part_of_one_or_one_within_them(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let hello::Parsed::Hello { consumed, .. } = hello::parse(&bytes) {
            prop_assert!(consumed <= bytes.len());
        }
    }
}
