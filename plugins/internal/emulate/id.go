package emulate

import (
	"encoding/hex"
	"fmt"
	"io"
)

// Hex makes a random id: n bytes, in hexadecimal digits. It panics if rand fails, which is
// then a test's own and ran dry.
func Hex(rand io.Reader, n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand, b); err != nil {
		panic(fmt.Sprintf("emulator: Options.Rand: %v", err))
	}
	return hex.EncodeToString(b)
}

// UUID makes a random id in the form of a UUID; see [Hex].
func UUID(rand io.Reader) string {
	s := Hex(rand, 16)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
