//! tokio-uring: a task per check in flight, `TcpStream::connect`, close.

use std::cell::Cell;
use std::rc::Rc;

/// Checks `count` addresses, [`super::IN_FLIGHT`] at a time.
pub fn run(port: u16, count: usize) -> usize {
    ::tokio_uring::start(async move {
        let (next, connected) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let check = |next: Rc<Cell<usize>>, connected: Rc<Cell<usize>>| async move {
            while next.get() < count {
                let address = super::address(next.replace(next.get() + 1), port);
                let stream = ::tokio_uring::net::TcpStream::connect(address).await;
                connected.set(connected.get() + usize::from(stream.is_ok()));
            }
        };
        let tasks: Vec<_> = (0..super::IN_FLIGHT)
            .map(|_| ::tokio_uring::spawn(check(Rc::clone(&next), Rc::clone(&connected))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        connected.get()
    })
}
