//! Binary HTTP messages (RFC 9292) of known length: what oblivious HTTP carries.

use super::ProtocolError;

/// Header fields: names in lower case, and values.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Vec<u8>,
    /// `https`.
    pub scheme: Vec<u8>,
    /// Host and port.
    pub authority: Vec<u8>,
    /// Path and query.
    pub path: Vec<u8>,
    /// Header fields.
    pub fields: Fields,
    /// The body.
    pub content: Vec<u8>,
}

/// A final response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status, 200 to 599.
    pub status: u16,
    /// Header fields.
    pub fields: Fields,
    /// The body.
    pub content: Vec<u8>,
}

/// Framing indicators of messages of known length.
const REQUEST: u64 = 0;
const RESPONSE: u64 = 1;

fn wrong() -> ProtocolError {
    ProtocolError::Message("not a binary HTTP message of known length")
}

impl Request {
    /// A request to an absolute address; no media type where there is no content.
    ///
    /// # Errors
    /// [`ProtocolError::Message`] where the address is not absolute.
    pub fn to(method: &str, url: &str, media: &str, content: Vec<u8>) -> Result<Self, ProtocolError> {
        let absolute = || ProtocolError::Message("the address of a request must be absolute");
        let (scheme, rest) = url.split_once(':').ok_or_else(absolute)?;
        let rest = rest.strip_prefix("//").ok_or_else(absolute)?;
        let (authority, path) = rest.split_at(rest.find('/').ok_or_else(absolute)?);
        let bytes = |text: &str| text.as_bytes().to_vec();
        let media = (!media.is_empty()).then(|| (bytes("content-type"), bytes(media)));
        Ok(Self {
            method: bytes(method),
            scheme: bytes(scheme),
            authority: bytes(authority),
            path: bytes(path),
            fields: media.into_iter().collect(),
            content,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.content.len() + 256);
        put_number(&mut out, REQUEST);
        for text in [&self.method, &self.scheme, &self.authority, &self.path] {
            put_bytes(&mut out, text);
        }
        put_rest(&mut out, &self.fields, &self.content);
        out
    }

    /// Reads a request; trailers are passed over.
    ///
    /// # Errors
    /// [`ProtocolError::Message`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader(bytes);
        if reader.number()? != REQUEST {
            return Err(wrong());
        }
        let mut text = || reader.bytes().map(<[u8]>::to_vec);
        let (method, scheme, authority, path) = (text()?, text()?, text()?, text()?);
        let (fields, content) = reader.rest()?;
        Ok(Self { method, scheme, authority, path, fields, content })
    }
}

impl Response {
    /// The bytes.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.content.len() + 256);
        put_number(&mut out, RESPONSE);
        put_number(&mut out, self.status.into());
        put_rest(&mut out, &self.fields, &self.content);
        out
    }

    /// Reads a response; informational ones before it, and trailers, are passed over.
    ///
    /// # Errors
    /// [`ProtocolError::Message`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader(bytes);
        if reader.number()? != RESPONSE {
            return Err(wrong());
        }
        loop {
            let status = reader.number()?;
            if (100..200).contains(&status) {
                reader.fields()?;
                continue;
            }
            let status = u16::try_from(status).ok().filter(|s| (200..600).contains(s)).ok_or_else(wrong)?;
            let (fields, content) = reader.rest()?;
            return Ok(Self { status, fields, content });
        }
    }
}

/// A number as QUIC has them (RFC 9000, section 16): its first two bits say how long it is.
fn put_number(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_rest(out: &mut Vec<u8>, fields: &Fields, content: &[u8]) {
    let mut section = Vec::new();
    for (name, value) in fields {
        put_bytes(&mut section, name);
        put_bytes(&mut section, value);
    }
    put_bytes(out, &section);
    put_bytes(out, content);
    put_bytes(out, &[]);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(wrong)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, ProtocolError> {
        let first = *self.0.first().ok_or_else(wrong)?;
        let bytes = self.take(1 << (first >> 6))?;
        Ok(bytes[1..].iter().fold(u64::from(first & 0x3f), |n, byte| n << 8 | u64::from(*byte)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], ProtocolError> {
        let length = usize::try_from(self.number()?).map_err(|_| wrong())?;
        self.take(length)
    }

    fn fields(&mut self) -> Result<Fields, ProtocolError> {
        let mut section = Reader(self.bytes()?);
        let mut out = Vec::new();
        while !section.0.is_empty() {
            out.push((section.bytes()?.to_vec(), section.bytes()?.to_vec()));
        }
        Ok(out)
    }

    /// Fields, content and trailers, of which those at the end may be left out; then padding of zeros.
    fn rest(mut self) -> Result<(Fields, Vec<u8>), ProtocolError> {
        if self.0.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let fields = self.fields()?;
        let content = if self.0.is_empty() { &[] } else { self.bytes()? };
        if !self.0.is_empty() {
            self.fields()?;
        }
        if self.0.iter().any(|byte| *byte != 0) {
            return Err(wrong());
        }
        Ok((fields, content.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9292, section 5.1: a GET of known length, with padding.
    #[test]
    fn the_rfcs_example_is_read() {
        let hex = "000347455405687474707300\
                   0a2f68656c6c6f2e747874406c0a757365722d6167656e74346375726c2f372e31362e33206c69626375726c2f372e31362e33204f7065\
                   6e53534c2f302e392e376c207a6c69622f312e322e3304686f73740f7777772e6578616d706c652e636f6d0f6163636570742d6c616e67\
                   756167650665\
                   6e2c206d690000";
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
        let request = Request::decode(&bytes).unwrap();
        assert_eq!((&request.method[..], &request.path[..]), (&b"GET"[..], &b"/hello.txt"[..]));
        assert_eq!(request.fields[1], (b"host".to_vec(), b"www.example.com".to_vec()));
        assert_eq!(request.fields.len(), 3);
        let padded = [&bytes[..], &[0; 40]].concat();
        assert_eq!(Request::decode(&padded), Ok(request.clone()));
        assert!(Request::decode(&[&bytes[..], &[0, 0, 1]].concat()).is_err());
        assert_eq!(Request::decode(&request.encoded()), Ok(request));
    }

    #[test]
    fn an_address_is_taken_apart() {
        let request =
            Request::to("PUT", "https://leader.example:8443/a/tasks/x?y=1", "text/plain", vec![7]).unwrap();
        let parts =
            [&request.scheme, &request.authority, &request.path].map(|part| str::from_utf8(part).unwrap());
        assert_eq!(parts, ["https", "leader.example:8443", "/a/tasks/x?y=1"]);
        assert_eq!(request.fields, [(b"content-type".to_vec(), b"text/plain".to_vec())]);
        assert_eq!((&request.method[..], &request.content[..]), (&b"PUT"[..], &[7][..]));
        assert!(Request::to("GET", "https://leader.example/", "", vec![]).unwrap().fields.is_empty());
        for url in ["/tasks/x", "leader.example/x", "https://leader.example"] {
            assert!(Request::to("GET", url, "", vec![]).is_err(), "{url}");
        }
    }

    #[test]
    fn lengths_of_every_size_come_back() {
        for length in [0, 1, 63, 64, 16_383, 16_384, 70_000] {
            let response = Response { status: 503, fields: vec![], content: vec![7; length] };
            let bytes = response.encoded();
            assert_eq!(Response::decode(&bytes), Ok(response));
            assert!(Response::decode(&bytes[..bytes.len() - 2]).is_err() || length == 0);
        }
        assert!(Response::decode(&[1, 0x41, 0x2c, 0xff]).is_err());
        assert!(Request::decode(&Response::default().encoded()).is_err());
    }
}
