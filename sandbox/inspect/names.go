package inspect

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// functionNames are the names of functions: from the name section, and where that has
// none, as they are imported or exported.
func functionNames(m *binary.Module) map[uint32]string {
	names := m.FunctionNames()
	if names == nil {
		names = map[uint32]string{}
	}
	for _, e := range m.Exports {
		if e.Kind == binary.KindFunction && names[e.Index] == "" {
			names[e.Index] = e.Name
		}
	}
	index := uint32(0)
	for _, i := range m.Imports {
		if i.Kind == binary.KindFunction {
			names[index] = i.Module + "." + i.Name // not what the name section calls it: that may be a lie
			index++
		}
	}
	return names
}

// functionName is a function's name, or its number.
func functionName(names map[uint32]string, index uint32) string {
	if name := names[index]; name != "" {
		return clip(readable(name), maxName)
	}
	return fmt.Sprintf("function %d", index)
}

// readable is a Rust function's name as its source has it, without the hash that differs
// from build to build. Other names are returned as they are.
func readable(name string) string {
	rest, found := strings.CutPrefix(name, "_ZN")
	if !found || len(name) > 4*maxName {
		return name
	}
	var parts []string
	for {
		digits := 0
		for digits < len(rest) && digits < 4 && isDigit(rest[digits]) {
			digits++
		}
		n, _ := strconv.Atoi(rest[:digits])
		if n == 0 || n > len(rest)-digits {
			break
		}
		parts = append(parts, rest[digits:digits+n])
		rest = rest[digits+n:]
	}
	if n := len(parts); n < 2 || rest != "E" && !strings.HasPrefix(rest, "E.") || len(parts[n-1]) != 17 || parts[n-1][0] != 'h' {
		return name
	}
	text := strings.ReplaceAll(strings.Join(parts[:len(parts)-1], "::"), "_$", "$")
	return rustEscapes.Replace(text)
}

// rustEscapes are how Rust writes what symbols cannot hold.
var rustEscapes = strings.NewReplacer("$LT$", "<", "$GT$", ">", "$RF$", "&", "$BP$", "*", "$C$", ",", "$u20$", " ",
	"$u5b$", "[", "$u5d$", "]", "$u7b$", "{", "$u7d$", "}", "$LP$", "(", "$RP$", ")", "$u27$", "'", "$u2b$", "+", "$u3b$", ";", "..", "::")
