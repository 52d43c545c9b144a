//! Version 1 is frozen: these bytes are what other programs and older agents send.
//!
//! Every `.bin` in `golden/v1` is a test by being there. `GOLDEN=write` writes those that are missing, never one that is.

mod samples;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cloud_agent_protocol::frame::{MAX_REQUEST, MAX_RESPONSE};
use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Frame, hello};

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn written() -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

/// The bytes of every sample: a request behind its hello, as it is first sent; a response as it is.
fn encoded() -> BTreeMap<String, Vec<u8>> {
    let requests = samples::requests().into_iter().map(|(name, request)| {
        (name.to_owned(), request.encode().unwrap().encode_after(&hello::encode(&[1])).to_vec())
    });
    let responses = samples::responses()
        .into_iter()
        .map(|(name, response)| (name.to_owned(), response.encode().unwrap().encode().to_vec()));
    requests.chain(responses).collect()
}

#[test]
fn every_sample_is_encoded_to_the_bytes_it_always_had() {
    if std::env::var("GOLDEN").is_ok_and(|word| word == "write") {
        for (name, bytes) in encoded() {
            let path = dir().join(format!("{name}.bin"));
            if !path.exists() {
                fs::write(path, bytes).unwrap();
            }
        }
    }
    let golden = written();
    for (name, bytes) in encoded() {
        let frozen = golden.get(&name).unwrap_or_else(|| panic!("{name}.bin is missing: run with GOLDEN=write"));
        assert_eq!(&bytes, frozen, "{name} is no longer encoded as version 1: that takes a version 2");
    }
}

#[test]
fn every_golden_file_is_decoded_and_encoded_to_itself() {
    for (name, bytes) in written() {
        let again = if name.starts_with("request-") {
            let hello::Parsed::Hello { versions, consumed } = hello::parse(&bytes) else { panic!("{name}: no hello") };
            assert!(versions.iter().eq([1]), "{name}");
            let frame = Frame::read(&mut &bytes[consumed..], MAX_REQUEST).unwrap();
            let request = Request::decode(&frame).unwrap_or_else(|e| panic!("{name}: {e}"));
            request.encode().unwrap().encode_after(&bytes[..consumed]).to_vec()
        } else {
            let frame = Frame::read(&mut bytes.as_slice(), MAX_RESPONSE).unwrap();
            Response::decode(&frame).unwrap_or_else(|e| panic!("{name}: {e}")).encode().unwrap().encode().to_vec()
        };
        assert_eq!(again, bytes, "{name}");
    }
}

#[test]
fn every_golden_file_is_decoded_to_its_sample() {
    let golden = written();
    for (name, request) in samples::requests() {
        let hello::Parsed::Hello { consumed, .. } = hello::parse(&golden[name]) else { panic!("{name}: no hello") };
        let frame = Frame::read(&mut &golden[name][consumed..], MAX_REQUEST).unwrap();
        assert_eq!(Request::decode(&frame).unwrap(), request, "{name}");
    }
    for (name, response) in samples::responses() {
        let frame = Frame::read(&mut golden[name].as_slice(), MAX_RESPONSE).unwrap();
        assert_eq!(Response::decode(&frame).unwrap(), response, "{name}");
    }
}

#[test]
fn every_truncation_of_every_message_is_an_error_and_no_panic() {
    for (name, bytes) in written() {
        let start = if name.starts_with("request-") { 7 } else { 0 };
        for cut in start..bytes.len() {
            assert!(Frame::read(&mut &bytes[start..cut], MAX_RESPONSE).is_err(), "{name} at {cut}");
        }
        let whole = Frame::read(&mut &bytes[start..], MAX_RESPONSE).unwrap();
        for cut in 0..whole.body.len() {
            let body = &whole.body[..cut];
            assert!(
                Request::decode_body(whole.kind, body).is_err() && Response::decode_body(whole.kind, body).is_err()
            );
        }
    }
}
