// Package plain turns what people write and what messages hold into plain text, for platforms
// that carry nothing else: HTML and Markdown into text, a structured part into lines, a long
// text into pieces or to a bound.
package plain
