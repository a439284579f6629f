//! The provider contract, run against processes on this machine.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "shared with another test target")]
mod common;

use common::LocalFixture;

kobel_provider::contract_tests!(LocalFixture::new);
