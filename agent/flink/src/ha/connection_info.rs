//! What a leader writes to tell others where it is: an address and the id of its leadership, serialized by Java.
//!
//! Flink's `ZooKeeperUtils.writeLeaderInformationToZooKeeper` writes a string (`writeUTF`) and a `java.util.UUID`
//! (`writeObject`) to an `ObjectOutputStream`; everything but the address and the UUID's two halves is constant.

/// What a stream starts with: its magic number and version (`ObjectStreamConstants`).
const STREAM: [u8; 4] = [0xac, 0xed, 0x00, 0x05];
/// A block of primitive data with its length in one byte.
const BLOCK: u8 = 0x77;
/// A block of primitive data with its length in four bytes: an address of more than 253 bytes.
const LONG_BLOCK: u8 = 0x7a;
/// The blocks that `ObjectOutputStream` cuts primitive data into are at most this long.
const MAX_BLOCK: usize = 1024;
/// The longest address that is read: more than any host and path have, less than a block.
const MAX_ADDRESS: usize = MAX_BLOCK - 2;
/// A `java.util.UUID` up to its fields, which are its least and its most significant half.
const UUID: &[u8] = b"\x73\x72\x00\x0ejava.util.UUID\xbc\x99\x03\xf7\x98\x6d\x85\x2f\x02\x00\x02J\x00\x0cleastSigBitsJ\x00\x0bmostSigBits\x78\x70";

/// Where a leader's component is, and which leadership it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// A REST API's base URL, or the name of an actor.
    pub address: String,
    /// A number for each time that somebody became the leader.
    pub leadership: u128,
}

impl ConnectionInfo {
    /// Reads a znode's data. `None` for all that Flink does not write, as the empty data of a leader that left.
    pub fn decode(data: &[u8]) -> Option<ConnectionInfo> {
        let rest = data.strip_prefix(&STREAM)?;
        let (length, rest) = match *rest.first()? {
            BLOCK => (usize::from(*rest.get(1)?), rest.get(2..)?),
            LONG_BLOCK => {
                let length = u32::from_be_bytes(rest.get(1..5)?.try_into().ok()?);
                (usize::try_from(length).ok().filter(|length| *length <= MAX_BLOCK)?, rest.get(5..)?)
            }
            _ => return None,
        };
        let (block, rest) = rest.split_at_checked(length)?;
        let (size, text) = block.split_at_checked(2)?;
        if usize::from(u16::from_be_bytes(size.try_into().ok()?)) != text.len() {
            return None;
        }
        let halves: [u8; 16] = rest.strip_prefix(UUID)?.try_into().ok()?;
        // Least significant half first.
        let leadership = u128::from_be_bytes(halves).rotate_left(64);
        Some(ConnectionInfo { address: address(text)?, leadership })
    }

    /// As Flink writes it. `None` when the address is longer than a leader's can be.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let length = self.address.len();
        if length > MAX_ADDRESS || address(self.address.as_bytes()).is_none() {
            return None;
        }
        let mut data = STREAM.to_vec();
        match u8::try_from(length + 2) {
            Ok(block) => data.extend([BLOCK, block]),
            Err(_) => {
                data.push(LONG_BLOCK);
                data.extend((length as u32 + 2).to_be_bytes());
            }
        }
        data.extend((length as u16).to_be_bytes());
        data.extend(self.address.as_bytes());
        data.extend(UUID);
        data.extend(self.leadership.rotate_left(64).to_be_bytes());
        Some(data)
    }

    /// The base URL of a REST API, if the address is one: `http` or `https`, a host, a port, and nothing else.
    pub fn rest_url(&self) -> Option<reqwest::Url> {
        let url = reqwest::Url::parse(&self.address).ok()?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.port_or_known_default().is_some_and(|port| port != 0);
        plain.then_some(url)
    }
}

/// An address is printable ASCII, in which Java's modified UTF-8 is plain text.
fn address(text: &[u8]) -> Option<String> {
    let printable = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    printable.then(|| text.iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn info(address: &str) -> ConnectionInfo {
        ConnectionInfo { address: address.into(), leadership: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff }
    }

    #[test]
    fn the_bytes_are_those_of_java() {
        let data = info("http://localhost:8081").encode().unwrap();
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "aced00057717\
             0015687474703a2f2f6c6f63616c686f73743a38303831\
             7372000e6a6176612e7574696c2e55554944bc9903f7986d852f0200024a000c6c65617374536967426974734a000b6d6f737453696742697473\
             7870\
             8899aabbccddeeff0011223344556677"
        );
        assert_eq!(ConnectionInfo::decode(&data), Some(info("http://localhost:8081")));
        let long = info(&format!("pekko.tcp://flink@{}:6123/user/rpc/dispatcher_1", "h".repeat(250)));
        assert_eq!(ConnectionInfo::decode(&long.encode().unwrap()), Some(long));
    }

    #[test]
    fn what_flink_does_not_write_is_an_unknown_leader() {
        let good = info("http://localhost:8081").encode().unwrap();
        for end in 0..good.len() {
            assert_eq!(ConnectionInfo::decode(&good[..end]), None, "cut at {end}");
        }
        let more = [good.as_slice(), b"x"].concat();
        let mut length = good.clone();
        length[5] = 0xff;
        let mut inner = good.clone();
        inner[7] = 0x16;
        let mut class = good.clone();
        class[40] ^= 1;
        let mut control = good.clone();
        control[10] = b'\n';
        let huge = [&STREAM[..], &[LONG_BLOCK, 0x7f, 0xff, 0xff, 0xff], &vec![0; 1 << 20]].concat();
        let negative = [&STREAM[..], &[LONG_BLOCK, 0xff, 0xff, 0xff, 0xff]].concat();
        let megabyte = vec![b'x'; 1 << 20];
        for bad in
            [vec![], more, length, inner, class, control, huge, negative, megabyte, b"http://x:1".to_vec()]
        {
            assert_eq!(ConnectionInfo::decode(&bad), None);
        }
        assert_eq!(info("").encode(), None);
        assert_eq!(info(&"x".repeat(MAX_ADDRESS + 1)).encode(), None);
    }

    #[test]
    fn an_absurd_address_is_no_rest_api() {
        for good in ["http://localhost:8081", "https://[::1]:1", "http://nm07.example.com:45123"] {
            assert!(info(good).rest_url().is_some(), "{good}");
        }
        let bad = [
            "pekko.tcp://flink@h:1/user/rpc/dispatcher_1",
            "http://",
            "http://h:0",
            "http://h:99999",
            "file:///etc/passwd",
            "http://user:secret@h:1",
            "http://h:1/path",
            "http://h:1?q",
            "localhost:8081",
            "http://:8081",
        ];
        for bad in bad {
            assert_eq!(info(bad).rest_url(), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(address in "[!-~]{1,600}", leadership: u128) {
            let info = ConnectionInfo { address, leadership };
            prop_assert_eq!(ConnectionInfo::decode(&info.encode().unwrap()), Some(info));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut data: Vec<u8>, at: prop::sample::Index, flip: u8) {
            let _ = ConnectionInfo::decode(&data);
            data.splice(0..0, STREAM);
            let _ = ConnectionInfo::decode(&data);
            let mut good = info("http://localhost:8081").encode().unwrap();
            let at = at.index(good.len());
            good[at] ^= flip;
            if let Some(read) = ConnectionInfo::decode(&good) {
                prop_assert_eq!(read.encode().unwrap(), good);
            }
        }
    }
}
