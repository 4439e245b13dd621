package main

import "slices"

// handmade is a small module that could be a plugin: it imports two host functions,
// exports receive and send_message, which do nothing, and says how much memory and how
// large a table it wants.
func handmade() []byte {
	const i32, i64, fn = 0x7f, 0x7e, 0x60
	imported := func(name string) []byte { return slices.Concat(text("extism:host/user"), text(name), []byte{0, 0}) }
	exported := func(name string, kind, index byte) []byte { return append(text(name), kind, index) }
	nothing := []byte{4, 0, 0x41, 0, 0x0b} // of 4 bytes: no locals, i32.const 0, end
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		part(1, vector([]byte{fn, 1, i64, 1, i64}, []byte{fn, 0, 1, i32})),
		part(2, vector(imported("http_send"), imported("secret_equal"))),
		part(3, vector([]byte{1}, []byte{1})),
		part(4, vector([]byte{0x70, 1, 1, 4})),
		part(5, vector([]byte{1, 2, 16})),
		part(7, vector(exported("memory", 2, 0), exported("receive", 0, 2), exported("send_message", 0, 3))),
		part(10, vector(nothing, nothing)),
		part(0, slices.Concat(text("producers"), vector(slices.Concat(text("processed-by"), vector(slices.Concat(text("handmade"), text("1.0"))))))),
	)
}

// part is a section of at most 127 bytes.
func part(id byte, payload []byte) []byte { return append([]byte{id, byte(len(payload))}, payload...) }

// vector is a list of at most 127 items.
func vector(items ...[]byte) []byte {
	return append([]byte{byte(len(items))}, slices.Concat(items...)...)
}

// text is a name of at most 127 bytes.
func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }
