//! Standard input and output without a hand-off to another thread per message, where the kernel
//! allows it.
//!
//! Pipes are opened anew, so that their non-blocking mode stays ours; sockets, which Node gives its
//! children, are asked not to block call by call for the same reason. Terminals and files are read
//! and written on the blocking pool.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    net::{RecvFlags, SendFlags},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    net::unix::pipe,
};

/// Answers larger than a default pipe leave in one write.
const PIPE_BYTES: usize = 1024 * 1024;

/// The most that is read from a socket at once; the room has to be zeroed before.
const SOCKET_READ: usize = 16 * 1024;

/// Takes standard input and output for the protocol; what others print goes to standard error.
pub(crate) fn take() -> io::Result<(Input, Output)> {
    let input = Input::of(io::stdin().as_fd())?;
    let output = Output::of(io::stdout().as_fd())?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok((input, output))
}

pub(crate) enum Input {
    Pipe(pipe::Receiver),
    Socket(AsyncFd<OwnedFd>),
    File(tokio::fs::File),
}

pub(crate) enum Output {
    Pipe(pipe::Sender),
    Socket(AsyncFd<OwnedFd>),
    File(tokio::fs::File),
}

impl Input {
    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        match kind(fd)? {
            FileType::Fifo => match reopen(fd, OFlags::RDONLY).and_then(pipe::Receiver::from_owned_fd) {
                Ok(pipe) => Ok(Self::Pipe(pipe)),
                Err(error) => {
                    tracing::debug!(%error, "the input pipe can't be opened anew");
                    Ok(Self::File(blocking(fd)?))
                }
            },
            FileType::Socket => Ok(Self::Socket(watched(fd, Interest::READABLE)?)),
            _ => Ok(Self::File(blocking(fd)?)),
        }
    }
}

impl Output {
    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        match kind(fd)? {
            FileType::Fifo => match reopen(fd, OFlags::WRONLY).and_then(pipe::Sender::from_owned_fd) {
                Ok(pipe) => {
                    if let Err(error) = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES) {
                        tracing::debug!(%error, "the output pipe keeps its size");
                    }
                    Ok(Self::Pipe(pipe))
                }
                Err(error) => {
                    tracing::debug!(%error, "the output pipe can't be opened anew");
                    Ok(Self::File(blocking(fd)?))
                }
            },
            FileType::Socket => Ok(Self::Socket(watched(fd, Interest::WRITABLE)?)),
            _ => Ok(Self::File(blocking(fd)?)),
        }
    }
}

fn kind(fd: BorrowedFd<'_>) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

fn reopen(fd: BorrowedFd<'_>, access: OFlags) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

#[expect(deprecated, reason = "its flaw is a type that closes its descriptor early, which an owned one can't")]
fn watched(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd.try_clone_to_owned()?, interest)
}

fn blocking(fd: BorrowedFd<'_>) -> io::Result<tokio::fs::File> {
    Ok(tokio::fs::File::from_std(File::from(fd.try_clone_to_owned()?)))
}

impl AsyncRead for Input {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(cx, buffer),
            Self::File(file) => Pin::new(file).poll_read(cx, buffer),
            Self::Socket(socket) => loop {
                let mut readiness = ready!(socket.poll_read_ready(cx))?;
                let room = buffer.initialize_unfilled_to(buffer.remaining().min(SOCKET_READ));
                let received = readiness.try_io(|socket| Ok(rustix::net::recv(socket, room, RecvFlags::DONTWAIT)?));
                if let Ok(received) = received {
                    let (received, _) = received?;
                    buffer.advance(received);
                    return Poll::Ready(Ok(()));
                }
            },
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_write(cx, bytes),
            Self::File(file) => Pin::new(file).poll_write(cx, bytes),
            Self::Socket(socket) => loop {
                let mut readiness = ready!(socket.poll_write_ready(cx))?;
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                if let Ok(sent) = readiness.try_io(|socket| Ok(rustix::net::send(socket, bytes, flags)?)) {
                    return Poll::Ready(sent);
                }
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::File(file) => Pin::new(file).poll_flush(cx),
            Self::Pipe(_) | Self::Socket(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{Input, Output};

    async fn exchange(mut output: Output, mut input: Input) {
        let sent = vec![7; 3 << 20];
        let (written, received) = tokio::join!(
            async {
                let written = output.write_all(&sent).await;
                drop(output);
                written.map_err(|error| error.kind())
            },
            async {
                let mut received = Vec::new();
                input.read_to_end(&mut received).await.map(|_| received).map_err(|error| error.kind())
            }
        );
        assert_eq!((written, received), (Ok(()), Ok(sent.clone())));
    }

    #[tokio::test]
    async fn a_pipe_carries_more_than_it_holds_and_ends() -> std::io::Result<()> {
        let (read, write) = std::io::pipe()?;
        let (input, output) = (Input::of(read.as_fd())?, Output::of(write.as_fd())?);
        assert!(matches!((&input, &output), (Input::Pipe(_), Output::Pipe(_))));
        drop((read, write));
        exchange(output, input).await;
        Ok(())
    }

    #[tokio::test]
    async fn a_socket_carries_more_than_it_holds_without_changing_its_mode() -> std::io::Result<()> {
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        let (input, output) = (Input::of(one.as_fd())?, Output::of(other.as_fd())?);
        assert!(matches!((&input, &output), (Input::Socket(_), Output::Socket(_))));
        let modes = [rustix::fs::fcntl_getfl(&one)?, rustix::fs::fcntl_getfl(&other)?];
        assert!(modes.iter().all(|mode| !mode.contains(rustix::fs::OFlags::NONBLOCK)));
        drop((one, other));
        exchange(output, input).await;
        Ok(())
    }
}
