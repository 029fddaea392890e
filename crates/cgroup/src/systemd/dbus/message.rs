//! Messages of D-Bus.

use super::value::{Decoder, Malformed, Value, pad};

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The part before the array of header fields' content, with the array's length at its end.
const FIXED: usize = 16;
/// The specification's limit is 128 MiB; systemd says nothing near that long to us.
const LIMIT: usize = 16 << 20;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Return,
    Error,
    Signal,
    /// Of a later version of the protocol, to be ignored.
    Other,
}

/// A call of a method.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) body: Vec<Value>,
}

impl Call<'_> {
    pub(crate) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        self.body.iter().for_each(|value| value.encode(&mut body));
        let signature: String = self.body.iter().map(Value::signature).collect();
        let mut fields = vec![
            field(PATH, Value::Path(self.path.into())),
            field(INTERFACE, Value::str(self.interface)),
            field(MEMBER, Value::str(self.member)),
        ];
        if !self.destination.is_empty() {
            fields.push(field(DESTINATION, Value::str(self.destination)));
        }
        if !signature.is_empty() {
            fields.push(field(SIGNATURE, Value::Signature(signature)));
        }
        // Little-endian, a call, no flags, version 1.
        let mut message = vec![b'l', 1, 0, 1];
        Value::U32(u32::try_from(body.len()).unwrap_or(u32::MAX)).encode(&mut message);
        Value::U32(serial).encode(&mut message);
        Value::Array("(yv)".into(), fields).encode(&mut message);
        pad(&mut message, 8);
        message.append(&mut body);
        message
    }
}

fn field(code: u8, value: Value) -> Value {
    Value::Struct(vec![Value::Byte(code), value.variant()])
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) reply_to: Option<u32>,
    pub(crate) member: String,
    pub(crate) error: String,
    pub(crate) body: Vec<Value>,
}

impl Message {
    /// How long the message is that begins with these bytes, once that can be told.
    pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some(fixed) = bytes.get(..FIXED) else { return Ok(None) };
        if fixed[0] != b'l' || fixed[3] != 1 {
            return Err(Malformed);
        }
        let number = |at: usize| {
            let bytes = fixed.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).and_then(|number| usize::try_from(number).ok())
        };
        let (body, fields) = (number(4).ok_or(Malformed)?, number(12).ok_or(Malformed)?);
        let length = FIXED.checked_add(fields).ok_or(Malformed)?.next_multiple_of(8);
        let length = length.checked_add(body).filter(|length| *length <= LIMIT);
        length.map(Some).ok_or(Malformed)
    }

    /// The message in exactly these bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if Self::length(bytes)? != Some(bytes.len()) {
            return Err(Malformed);
        }
        let header = Decoder::new(bytes).values("yyyyuua(yv)")?;
        let [_, Value::Byte(kind), _, _, Value::U32(body), _, Value::Array(_, fields)] =
            &header[..]
        else {
            return Err(Malformed);
        };
        let mut message = Self {
            kind: match kind {
                1 => Kind::Call,
                2 => Kind::Return,
                3 => Kind::Error,
                4 => Kind::Signal,
                _ => Kind::Other,
            },
            reply_to: None,
            member: String::new(),
            error: String::new(),
            body: Vec::new(),
        };
        let mut signature = "";
        for field in fields {
            let Value::Struct(field) = field else { return Err(Malformed) };
            let [Value::Byte(code), Value::Variant(value)] = &field[..] else {
                return Err(Malformed);
            };
            match *code {
                MEMBER => message.member = value.as_str().ok_or(Malformed)?.to_owned(),
                ERROR_NAME => message.error = value.as_str().ok_or(Malformed)?.to_owned(),
                REPLY_SERIAL => message.reply_to = Some(value.as_u32().ok_or(Malformed)?),
                SIGNATURE => signature = value.as_str().ok_or(Malformed)?,
                _ => {}
            }
        }
        let body = usize::try_from(*body).map_err(|_| Malformed)?;
        let start = bytes.len().checked_sub(body).ok_or(Malformed)?;
        message.body = Decoder::new(&bytes[start..]).values(signature)?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_can_be_read() {
        let call = Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            member: "GetUnit",
            body: vec![Value::str("a.scope"), Value::U32(3)],
        };
        let bytes = call.encode(7);
        assert_eq!(Message::length(&bytes[..15]), Ok(None));
        assert_eq!(Message::length(&bytes[..16]), Ok(Some(bytes.len())));
        let message = Message::decode(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (Kind::Call, "GetUnit"));
        assert_eq!(message.body, call.body);
        for cut in 16..bytes.len() {
            assert!(Message::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn what_is_too_long_or_of_another_kind_is_refused() {
        let mut bytes = [0_u8; 16];
        (bytes[0], bytes[3]) = (b'l', 1);
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Message::length(&bytes), Err(Malformed));
        bytes[0] = b'B';
        assert_eq!(Message::length(&bytes), Err(Malformed));
    }
}
