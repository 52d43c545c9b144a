//! What a client reads from whoever answers at the socket's path.
#![no_main]

use cloud_agent_protocol::Frame;
use cloud_agent_protocol::frame::MAX_RESPONSE;
use cloud_agent_protocol::v1::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = Frame::read(&mut &data[..], MAX_RESPONSE) {
        let _ = frame.refused_versions();
        if let Ok(response) = Response::decode(&frame) {
            let again = Response::decode(&response.encode().expect("what was decoded can be encoded"));
            assert_eq!(again.expect("what was encoded can be decoded"), response);
        }
    }
    if let Some((kind, body)) = data.split_first() {
        let _ = Response::decode_body(0x8000 | u16::from(*kind % 16), body);
    }
});
