//! What is to be seen of processes from outside: the TCP addresses they listen on, what they have not read yet,
//! their memory.

use std::{collections::HashSet, net::SocketAddr};

use procfs::{
    net::{TcpNetEntry, TcpState},
    process::{FDTarget, Process},
};

/// Every address that one of these processes listens on.
pub fn listening(pids: &[i32]) -> Vec<SocketAddr> {
    let inodes: HashSet<u64> = pids.iter().flat_map(|pid| socket_inodes(*pid)).collect();
    let tcp = procfs::net::tcp().into_iter().flatten();
    let tcp6 = procfs::net::tcp6().into_iter().flatten();
    let ours = |e: &TcpNetEntry| e.state == TcpState::Listen && inodes.contains(&e.inode);
    tcp.chain(tcp6).filter(ours).map(|e| e.local_address).collect()
}

fn socket_inodes(pid: i32) -> Vec<u64> {
    let fds = Process::new(pid).and_then(|p| p.fd()).into_iter().flatten();
    let inode = |target| match target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    };
    fds.filter_map(|fd| inode(fd.ok()?.target)).collect()
}

/// Whether one end of a connection is this port of this process.
pub fn has_port(pid: i32, port: u16) -> bool {
    let inodes = socket_inodes(pid);
    let tcp = procfs::net::tcp().into_iter().flatten().chain(procfs::net::tcp6().into_iter().flatten());
    let mut ends = tcp.filter(|e| e.local_address.port() == port);
    ends.any(|e| e.state != TcpState::Listen && inodes.contains(&e.inode))
}

/// The highest resident memory a process ever had, in KiB.
pub fn peak_memory_kib(pid: i32) -> u64 {
    Process::new(pid).and_then(|p| p.status()).ok().and_then(|s| s.vmhwm).expect("VmHWM of a living process")
}

/// The resident memory of a process in KiB, while it lives.
pub fn memory_kib(pid: i32) -> Option<u64> {
    Process::new(pid).and_then(|process| process.status()).ok()?.vmrss
}

/// How many connections to this port of a process hold something that it has not read.
pub fn unread(pid: u32, port: u16) -> usize {
    let inodes = socket_inodes(pid as i32);
    let tcp = procfs::net::tcp().into_iter().flatten().chain(procfs::net::tcp6().into_iter().flatten());
    let waits = |e: &TcpNetEntry| e.state == TcpState::Established && e.rx_queue > 0;
    tcp.filter(|e| e.local_address.port() == port && waits(e) && inodes.contains(&e.inode)).count()
}
