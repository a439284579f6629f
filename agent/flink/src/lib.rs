//! Flink seen from outside: what a distribution consists of, the command lines and configuration
//! files of its processes, its REST API, archives of its classes, and its high availability in ZooKeeper.

pub mod ha;
pub mod home;
pub mod launch;
pub mod main_log;
pub mod own_log;
pub mod rest;
pub mod train;

pub use home::{HomeError, inspect, inspect_with_lib};
pub use launch::{JobManagerPorts, LaunchError, Peers, worker_spec};
pub use rest::{Effect, FlinkRest, RestError};
