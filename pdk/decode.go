//go:build !wasip1

package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// decode reads a document that a test wrote.
func decode(data []byte, v contract.Decodable) error { return contract.Unmarshal(data, v) }

// encode writes a document that a test reads, and keeps for as long as it likes.
func encode(v contract.Appendable) []byte { return contract.Marshal(v) }
