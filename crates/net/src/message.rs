//! The messages of netlink(7): a header, a fixed part, and attributes; all in the byte order of the machine.

/// The size of `nlmsghdr`.
const HEADER: usize = 16;
/// The size of `rtattr` without its value.
const ATTRIBUTE_HEADER: usize = 4;
/// Leaves the flags of an attribute's type away (`NLA_TYPE_MASK`).
const TYPE_MASK: u16 = 0x3fff;

pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const EXCL: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
/// The list changed while it was told.
pub(crate) const DUMP_INTERRUPTED: u16 = 0x10;
/// An error that does not quote the whole request (`NLM_F_CAPPED`).
const CAPPED: u16 = 0x100;
/// An error with attributes (`NLM_F_ACK_TLVS`).
const ACK_ATTRIBUTES: u16 = 0x200;

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The attribute of an error that is for people (`NLMSGERR_ATTR_MSG`).
const ERROR_TEXT: u16 = 1;

/// A message to the kernel.
#[derive(Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// One of this type, with flags besides `REQUEST` and `ACK`.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST | ACK).to_ne_bytes());
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Appends an attribute.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The bytes, under this number.
    pub(crate) fn into_bytes(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A message from the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'bytes> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// What follows the header.
    pub(crate) body: &'bytes [u8],
}

/// What a message says of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'bytes> {
    /// Something of what was asked for.
    Something(&'bytes [u8]),
    /// That was all.
    Done,
    /// It failed: with this errno, and what the kernel explains.
    Failed(i32, String),
}

impl<'bytes> Message<'bytes> {
    pub(crate) fn said(&self) -> Said<'bytes> {
        let code = || u32_at(self.body, 0).map_or(0, |code| code.cast_signed().wrapping_neg());
        match self.kind {
            ERROR | DONE => match code() {
                0 => Said::Done,
                errno => Said::Failed(errno, self.explanation()),
            },
            _ => Said::Something(self.body),
        }
    }

    fn explanation(&self) -> String {
        if self.flags & ACK_ATTRIBUTES == 0 {
            return String::new();
        }
        // After the errno comes the request, or its header only.
        let quoted = u32_at(self.body, 4).and_then(|length| usize::try_from(length).ok());
        let quoted = quoted.filter(|_| self.flags & CAPPED == 0).unwrap_or(HEADER);
        let start = quoted.next_multiple_of(4).saturating_add(4);
        let rest = if self.kind == DONE { self.body.get(4..) } else { self.body.get(start..) };
        find(rest.unwrap_or_default(), ERROR_TEXT).map(text).unwrap_or_default()
    }
}

/// The messages in what was received.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok().filter(|length| *length >= HEADER)?;
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let (kind, flags) = (u16_at(message, 4)?, u16_at(message, 6)?);
        Some(Message { kind, flags, sequence: u32_at(message, 8)?, body: &message[HEADER..] })
    })
}

/// The attributes, and their types.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of this type.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A text that ends with its first zero.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let request =
            Request::new(16, CREATE, &[7; 16]).attribute(3, b"eth0\0").attribute(28, &[1]);
        let mut bytes = request.into_bytes(5);
        bytes.extend(Request::new(3, 0, &0_i32.to_ne_bytes()).into_bytes(6));
        let found: Vec<_> = messages(&bytes).collect();
        assert_eq!(
            found.iter().map(|it| (it.kind, it.sequence)).collect::<Vec<_>>(),
            [(16, 5), (3, 6)]
        );
        assert_eq!(found[0].flags, CREATE | REQUEST | ACK);
        let Said::Something(body) = found[0].said() else { panic!("{:?}", found[0]) };
        let all: Vec<_> = attributes(&body[16..]).collect();
        assert_eq!(all, [(3, &b"eth0\0"[..]), (28, &[1])]);
        assert_eq!(find(&body[16..], 3).map(text).unwrap(), "eth0");
        assert_eq!(found[1].said(), Said::Done);
    }

    #[test]
    fn an_error_explains_itself() {
        for (flags, quoted) in [(CAPPED, 16), (0, 32)] {
            let mut body = (-22_i32).to_ne_bytes().to_vec();
            body.extend(32_u32.to_ne_bytes());
            body.resize(4 + quoted, 0);
            let request = Request::new(ERROR, flags | ACK_ATTRIBUTES, &body);
            let bytes = request.attribute(ERROR_TEXT, b"no\0").into_bytes(1);
            let message = messages(&bytes).next().unwrap();
            let message = Message { flags: message.flags & !(REQUEST | ACK), ..message };
            assert_eq!(message.said(), Said::Failed(22, "no".into()));
        }
    }

    #[test]
    fn what_is_cut_off_ends_the_list() {
        let bytes = Request::new(16, 0, &[0; 16]).attribute(3, b"eth0").into_bytes(1);
        for length in 0..bytes.len() {
            assert_eq!(messages(&bytes[..length]).count(), 0);
        }
        assert_eq!(attributes(&[8, 0, 1, 0, 9]).count(), 0);
        assert_eq!(attributes(&[0; 8]).count(), 0);
    }
}
