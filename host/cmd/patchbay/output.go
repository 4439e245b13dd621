package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/seed75a60ee1/patchbay/host/client"
)

// connect returns a client of the host that the command line names.
func (s *session) connect() *client.Client { return client.New(s.url, s.token) }

// printJSON prints v for programs.
func (s *session) printJSON(v any) error {
	encoder := json.NewEncoder(s.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// show prints v as JSON if that was asked for, and otherwise what human prints.
func (s *session) show(v any, human func()) error {
	if s.json {
		return s.printJSON(v)
	}
	human()
	return nil
}

// done prints one sentence, which is the whole answer of a command that changes something.
func (s *session) done(v any, sentence string, args ...any) error {
	return s.show(v, func() { fmt.Fprintln(s.stdout, clean(fmt.Sprintf(sentence, args...))) })
}

// column is one column of a table of T.
type column[T any] struct {
	name string
	cell func(T) string
}

// listing prints a page of items as a table, and how to get the next page.
func listing[T any](s *session, page client.Page[T], columns ...column[T]) error {
	if page.Items == nil {
		page.Items = []T{}
	}
	return s.show(page, func() {
		if len(page.Items) == 0 {
			fmt.Fprintln(s.stderr, "nothing to list")
		} else {
			printTable(s.stdout, page.Items, columns...)
		}
		if page.Next != "" {
			fmt.Fprintln(s.stderr, "there is more: --after "+clean(page.Next))
		}
	})
}

func printTable[T any](w io.Writer, items []T, columns ...column[T]) {
	t := newTable()
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = c.name
	}
	t.AppendHeader(header)
	for _, item := range items {
		row := make(table.Row, len(columns))
		for i, c := range columns {
			row[i] = clean(c.cell(item))
		}
		t.AppendRow(row)
	}
	fmt.Fprintln(w, t.Render())
}

// field is one line of the description of one thing. Empty ones are left out.
type field struct{ name, value string }

// printFields prints the description of one thing.
func printFields(w io.Writer, fields ...field) {
	t := newTable()
	for _, f := range fields {
		if f.value != "" {
			t.AppendRow(table.Row{f.name, clean(f.value)})
		}
	}
	fmt.Fprintln(w, t.Render())
}

// newTable returns a table without lines, so that it can be read, cut and compared.
func newTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	return t
}

// clean makes text that came from outside safe to print on one line of a terminal: what
// could move the cursor, change colours or turn the direction of writing is escaped.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, escape(text, func(r rune) bool { return r == '\n' || r == '\t' || r == '\r' }))
}

// cleanLines is clean for text that may have several lines.
func cleanLines(text string) string {
	return escape(strings.ReplaceAll(text, "\t", "    "), func(r rune) bool { return r == '\n' })
}

// zeroWidthJoiner holds many emoji together and does no harm.
const zeroWidthJoiner = '\u200d'

// escape replaces every rune that is not meant to be seen by its number, except those
// that allowed lets through.
func escape(text string, allowed func(rune) bool) string {
	var out strings.Builder
	for _, r := range text {
		if r != zeroWidthJoiner && !allowed(r) && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar) {
			fmt.Fprintf(&out, "\\u%04x", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// when prints a time for people; nothing for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// yes prints a mark for true and nothing for false.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
