//! A socket that receives descriptors, as engines have.

use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
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

    /// Receives a descriptor and the text that came with it, up to the end of the connection.
    pub fn receive_to_end(&self) -> Result<(OwnedFd, String)> {
        let (descriptor, mut text, mut stream) = self.receive_on_stream()?;
        stream.set_read_timeout(Some(scaled(10)))?;
        stream.read_to_string(&mut text)?;
        Ok((descriptor, text))
    }

    /// Receives a descriptor and the text that came with it.
    pub fn receive(&self) -> Result<(OwnedFd, String)> {
        self.receive_on_stream().map(|(descriptor, text, _)| (descriptor, text))
    }

    fn receive_on_stream(&self) -> Result<(OwnedFd, String, UnixStream)> {
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
        Ok((descriptor.context("no descriptor came")?, text, stream))
    }
}
