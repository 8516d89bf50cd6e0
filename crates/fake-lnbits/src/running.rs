//! The task that serves the routes: where it starts, and how it ends.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    line::{Door, Scissors},
    options::Options,
    routes,
    server::Server,
};

/// A served server. Only the handles share it: the server ends with the last of them.
#[derive(Debug)]
pub(crate) struct Running {
    server: Arc<Server>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    pub(crate) async fn start(options: Options) -> io::Result<Running> {
        let listener = TcpListener::bind((options.address, options.port)).await?;
        let port = listener.local_addr()?.port();
        let running = Running {
            server: Arc::new(Server::new(options, port)),
            task: Mutex::default(),
        };
        running.serve_on(listener);
        Ok(running)
    }

    /// What is served.
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    pub(crate) async fn serve(&self) -> io::Result<()> {
        let listener = TcpListener::bind((self.server.options.address, self.server.port)).await?;
        self.serve_on(listener);
        Ok(())
    }

    fn serve_on(&self, listener: TcpListener) {
        let server = &self.server;
        let door = Door {
            listener,
            faults: server.faults.clone(),
            lines: server.lines.clone(),
        };
        let service = routes::router(server).into_make_service_with_connect_info::<Scissors>();
        let task = server.runtime.spawn(async move {
            if let Err(error) = axum::serve(door, service).await {
                tracing::warn!(%error, "the fake server ended");
            }
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    pub(crate) async fn stop(&self) {
        if let Some(task) = self.take_task() {
            task.abort();
            if let Err(error) = task.await
                && !error.is_cancelled()
            {
                tracing::warn!(%error, "the fake server ended badly");
            }
        }
        self.server.lines.cut_all();
    }

    fn take_task(&self) -> Option<JoinHandle<()>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.take_task() {
            task.abort();
        }
        self.server.lines.cut_all();
    }
}
