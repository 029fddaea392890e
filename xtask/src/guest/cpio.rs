//! The archive format of an initramfs ("newc": the kernel's Documentation/driver-api/early-userspace).

/// An archive in the making. The kernel accepts several in a row.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    inode: usize,
}

impl Archive {
    pub fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    /// `mode` is permission bits.
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, 0o100_000 | mode, content);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        // Magic, inode, mode, uid, gid, links, time, size, 2 + 2 device numbers, name size, check sum.
        let header = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:032x}{:08x}{:08x}",
            self.inode,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            name.len() + 1,
            0,
        );
        self.bytes.extend(header.into_bytes());
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_names_and_contents() {
        let mut archive = Archive::default();
        archive.file("bin/sh", 0o755, b"hello");
        let bytes = archive.finish();
        assert_eq!(&bytes[..22], b"07070100000001000081ed");
        assert_eq!(&bytes[54..62], b"00000005");
        assert_eq!(&bytes[110..128], b"bin/sh\0\0\0\0hello\0\0\0");
        assert_eq!(&bytes[128..134], b"070701");
        assert_eq!(bytes.len() % 4, 0);
    }
}
