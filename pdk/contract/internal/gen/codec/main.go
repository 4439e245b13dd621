// Command codec writes the encoders and decoders of package contract: for every struct T
// the methods AppendJSON and DecodeJSON, in codec_gen.go.
//
// It reads the source text and never loads the package, so it also runs while the
// generated code is missing or out of date. What a type may be made of is listed at
// [shapeOf]; anything else is refused by name.
package main

import (
	"fmt"
	"os"
)

// target is the file that is written, seen from the folder of package contract.
const target = "codec_gen.go"

func main() {
	source, err := generate(".")
	if err == nil {
		err = os.WriteFile(target, source, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "codec:", err)
		os.Exit(1)
	}
}
