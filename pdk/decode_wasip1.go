package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// decode reads a document that the host wrote. A host that wants to harm its plugin need not
// send it bad JSON for that, so it is not looked for: it would be a quarter of what a
// webhook costs. A person who tries a plugin out by hand is told what is wrong all the same.
func decode(data []byte, v contract.Decodable) (err error) {
	defer func() {
		if recover() != nil {
			err = contract.Unmarshal(data, v)
		}
	}()
	return contract.UnmarshalValid(data, v)
}
