//! Nothing: the suites in `suites/` are this package's tests.
