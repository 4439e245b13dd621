package pdk

import (
	"unsafe"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// decode reads a document that the host wrote, and nobody writes to data after it: what it
// reads are parts of data. A host that wants to harm its plugin need not send it bad JSON
// for that, so it is not looked for: it would be a quarter of what a webhook costs. A
// person who tries a plugin out by hand is told what is wrong all the same.
func decode(data []byte, v contract.Decodable) (err error) {
	defer func() {
		if recover() != nil {
			err = contract.Unmarshal(data, v)
		}
	}()
	return contract.UnmarshalValid(unsafe.String(unsafe.SliceData(data), len(data)), v)
}

// spare is where the next document for the host grows; nil while one does.
var spare []byte

// encode writes a document for the host. Once the host has it, it is to be given to recycle.
func encode(v contract.Appendable) []byte {
	room := spare
	spare = nil
	return v.AppendJSON(room[:0])
}

// recycle takes a document of which nothing is needed any more.
func recycle(document []byte) { spare = document }
