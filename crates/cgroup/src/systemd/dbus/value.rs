//! Values as the D-Bus specification marshals them, in little-endian order.

use std::fmt;

/// A value of one of the types that systemd's interface uses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F64(f64),
    Str(String),
    /// An object path.
    Path(String),
    Signature(String),
    /// Values that all have the signature.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub(crate) fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn variant(self) -> Self {
        Self::Variant(Box::new(self))
    }

    /// `ay`.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Array("y".into(), bytes.iter().copied().map(Self::Byte).collect())
    }

    /// `as`.
    pub(crate) fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::Array("s".into(), items.into_iter().map(Self::str).collect())
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Path(text) | Self::Signature(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_u32(&self) -> Option<u32> {
        match self {
            Self::U32(number) => Some(*number),
            _ => None,
        }
    }

    /// Its type, as the specification writes it.
    pub(crate) fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".into(),
            Self::Bool(_) => "b".into(),
            Self::U32(_) => "u".into(),
            Self::I32(_) => "i".into(),
            Self::U64(_) => "t".into(),
            Self::I64(_) => "x".into(),
            Self::F64(_) => "d".into(),
            Self::Str(_) => "s".into(),
            Self::Path(_) => "o".into(),
            Self::Signature(_) => "g".into(),
            Self::Array(item, _) => format!("a{item}"),
            Self::Struct(fields) => {
                format!("({})", fields.iter().map(Self::signature).collect::<String>())
            }
            Self::Variant(_) => "v".into(),
        }
    }

    /// Appends it to `out`, whose start is aligned to 8 bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Byte(byte) => out.push(*byte),
            Self::Bool(yes) => put(out, &u32::from(*yes).to_le_bytes()),
            Self::U32(number) => put(out, &number.to_le_bytes()),
            Self::I32(number) => put(out, &number.to_le_bytes()),
            Self::U64(number) => put(out, &number.to_le_bytes()),
            Self::I64(number) => put(out, &number.to_le_bytes()),
            Self::F64(number) => put(out, &number.to_le_bytes()),
            Self::Str(text) | Self::Path(text) => {
                put(out, &length(text.len()).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
                out.push(0);
            }
            Self::Signature(text) => put_signature(out, text),
            Self::Array(item, items) => {
                put(out, &[0; 4]);
                let length_at = out.len() - 4;
                pad(out, alignment(item.as_bytes()));
                let start = out.len();
                items.iter().for_each(|item| item.encode(out));
                let size = length(out.len() - start).to_le_bytes();
                out[length_at..length_at + 4].copy_from_slice(&size);
            }
            Self::Struct(fields) => {
                pad(out, 8);
                fields.iter().for_each(|field| field.encode(out));
            }
            Self::Variant(value) => {
                put_signature(out, &value.signature());
                value.encode(out);
            }
        }
    }
}

/// Messages are far shorter than 4 GiB: the specification allows 128 MiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn put<const SIZE: usize>(out: &mut Vec<u8>, bytes: &[u8; SIZE]) {
    pad(out, SIZE);
    out.extend_from_slice(bytes);
}

fn put_signature(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

pub(super) fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}

fn alignment(signature: &[u8]) -> usize {
    match signature.first() {
        Some(b'y' | b'g' | b'v') | None => 1,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        Some(_) => 4,
    }
}

/// Bytes that are no value of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a malformed message")
    }
}

/// How deep containers may be in each other; the specification says 32 each for arrays and structures.
const DEPTH: usize = 64;

/// Reads values from bytes whose start is aligned to 8 bytes.
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// All values of a signature.
    pub(crate) fn values(&mut self, signature: &str) -> Result<Vec<Value>, Malformed> {
        let mut rest = signature.as_bytes();
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (one, others) = split(rest)?;
            values.push(self.value(one, DEPTH)?);
            rest = others;
        }
        Ok(values)
    }

    fn value(&mut self, signature: &[u8], depth: usize) -> Result<Value, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        Ok(match signature {
            b"y" => Value::Byte(self.take::<1>()?[0]),
            b"b" => Value::Bool(self.u32()? != 0),
            b"u" => Value::U32(self.u32()?),
            b"i" => Value::I32(i32::from_le_bytes(self.take()?)),
            b"t" => Value::U64(u64::from_le_bytes(self.take()?)),
            b"x" => Value::I64(i64::from_le_bytes(self.take()?)),
            b"d" => Value::F64(f64::from_le_bytes(self.take()?)),
            b"s" => Value::Str(self.text()?),
            b"o" => Value::Path(self.text()?),
            b"g" => Value::Signature(self.signature()?),
            b"v" => {
                let signature = self.signature()?;
                match split(signature.as_bytes())? {
                    (one, []) => Value::Variant(Box::new(self.value(one, depth)?)),
                    _ => return Err(Malformed),
                }
            }
            [b'a', item @ ..] => self.array(item, depth)?,
            [b'(' | b'{', fields @ .., _] => {
                self.align(8)?;
                let mut values = Vec::new();
                let mut rest = fields;
                while !rest.is_empty() {
                    let (one, others) = split(rest)?;
                    values.push(self.value(one, depth)?);
                    rest = others;
                }
                Value::Struct(values)
            }
            _ => return Err(Malformed),
        })
    }

    fn array(&mut self, item: &[u8], depth: usize) -> Result<Value, Malformed> {
        let size = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.align(alignment(item))?;
        let end = self.at.checked_add(size).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Malformed)?;
        let mut items = Vec::new();
        while self.at < end {
            items.push(self.value(item, depth)?);
        }
        let signature = String::from_utf8(item.to_vec()).map_err(|_| Malformed)?;
        Ok(Value::Array(signature, items))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.string(length)
    }

    fn signature(&mut self) -> Result<String, Malformed> {
        let [length] = self.take()?;
        self.string(length.into())
    }

    /// A string of this length and the NUL byte after it.
    fn string(&mut self, length: usize) -> Result<String, Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let terminated = self.bytes.get(self.at..=end).ok_or(Malformed)?;
        let text = terminated.strip_suffix(&[0]).ok_or(Malformed)?;
        self.at = end + 1;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed)
    }

    fn take<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Malformed> {
        self.align(SIZE)?;
        let taken = self.bytes.get(self.at..self.at + SIZE).ok_or(Malformed)?;
        self.at += SIZE;
        taken.try_into().map_err(|_| Malformed)
    }

    fn align(&mut self, alignment: usize) -> Result<(), Malformed> {
        self.at = self.at.next_multiple_of(alignment);
        if self.at <= self.bytes.len() { Ok(()) } else { Err(Malformed) }
    }
}

/// The first complete type of a signature, and what comes after it.
fn split(signature: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut depth = 0_usize;
    for (index, byte) in signature.iter().enumerate() {
        match byte {
            b'a' => continue,
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth = depth.checked_sub(1).ok_or(Malformed)?,
            _ => {}
        }
        if depth == 0 {
            return Ok(signature.split_at(index + 1));
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, value: Value) -> Value {
        Value::Struct(vec![Value::str(name), value.variant()])
    }

    #[test]
    fn values_come_back_as_they_were() {
        let devices = vec![Value::Struct(vec![Value::str("/dev/null"), Value::str("rwm")])];
        let values = [
            Value::Byte(7),
            Value::str("text"),
            Value::Bool(true),
            Value::Array(
                "(sv)".into(),
                vec![
                    property("PIDs", Value::Array("u".into(), vec![Value::U32(1), Value::U32(2)])),
                    property("DeviceAllow", Value::Array("(ss)".into(), devices)),
                    property("Empty", Value::Array("t".into(), Vec::new())),
                    property("AllowedCPUs", Value::bytes(&[1, 2, 3])),
                ],
            ),
            Value::I64(-1),
            Value::F64(0.5),
            Value::Path("/a".into()),
        ];
        let mut bytes = Vec::new();
        values.iter().for_each(|value| value.encode(&mut bytes));
        let signature: String = values.iter().map(Value::signature).collect();
        assert_eq!(signature, "ysba(sv)xdo");
        assert_eq!(Decoder::new(&bytes).values(&signature), Ok(values.to_vec()));
        for cut in 0..bytes.len() {
            assert_eq!(Decoder::new(&bytes[..cut]).values(&signature), Err(Malformed), "{cut}");
        }
    }

    #[test]
    fn the_layout_is_that_of_the_specification() {
        let mut bytes = Vec::new();
        Value::Byte(1).encode(&mut bytes);
        Value::Array("t".into(), vec![Value::U64(2)]).encode(&mut bytes);
        Value::str("ab").variant().encode(&mut bytes);
        let expected =
            [&[1, 0, 0, 0, 8, 0, 0, 0][..], &[2, 0, 0, 0, 0, 0, 0, 0], b"\x01s\0\0\x02\0\0\0ab\0"];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let deep = "v".repeat(200);
        assert!(Decoder::new(&[1, b'v', 0].repeat(200)).values(&deep).is_err());
        for signature in ["a", "(", "a(", ")", "aaaaaaaay", "(s", "{sv}"] {
            assert!(Decoder::new(&[255; 16]).values(signature).is_err(), "{signature}");
        }
    }
}
