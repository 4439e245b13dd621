package contract

import "github.com/go-json-experiment/json/jsontext"

// RawJSON is one JSON value as it came, of any type. Empty means that there is none.
type RawJSON = jsontext.Value
