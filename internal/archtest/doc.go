// Package archtest holds the architecture as tests: who may import whom, and
// which packages end up in the binary.
package archtest
