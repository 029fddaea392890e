//! A socket that receives descriptors, as engines have.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::Context as _;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use crate::command::wait_readable;
use crate::{Result, check, scaled};

/// A listening socket.
#[derive(Debug)]
pub struct DescriptorServer(UnixListener);

impl DescriptorServer {
    /// Listens at `path`.
    pub fn listen(path: &Path) -> Result<Self> {
        Ok(Self(UnixListener::bind(path)?))
    }

    /// Receives a descriptor and the text that came with it.
    pub fn receive(&self) -> Result<(OwnedFd, String)> {
        check!(wait_readable(&self.0, scaled(10))?, "nobody connects");
        let (stream, _) = self.0.accept()?;
        check!(wait_readable(&stream, scaled(10))?, "nothing comes");
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg(&stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        check!(!message.flags.contains(ReturnFlags::CTRUNC), "more than one descriptor came");
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let text = String::from_utf8_lossy(&bytes[..message.bytes]).into_owned();
        Ok((descriptor.context("no descriptor came")?, text))
    }
}
