// Package servers starts real servers for tests: nobody starts one by hand.
//
// A server's program is built once, from its own module, into the user's cache
// directory, so that the dependencies of pailfs stay free of those of its test
// servers. All tests of one process share one server of each kind; it ends with the last
// test that uses it, or with the process, whatever way that ends.
package servers
