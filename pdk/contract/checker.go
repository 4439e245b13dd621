package contract

import (
	"slices"
	"strconv"
	"strings"
)

// checker walks a document and notes what is wrong with it.
type checker struct {
	path     []segment // where it stands
	problems []Problem
}

// segment is one step of a path. index is negative unless the step goes to an element.
type segment struct {
	field string
	index int
}

// in checks what stands in a field.
func (c *checker) in(field string, v checkable) { c.at(field, -1, v) }

// at checks the element of a list.
func (c *checker) at(field string, index int, v checkable) {
	c.path = append(c.path, segment{field, index})
	v.check(c)
	c.path = c.path[:len(c.path)-1]
}

// each checks a list: its length, and every element.
func each[T any, P interface {
	*T
	checkable
}](c *checker, field string, list []T, limit int) {
	c.count(field, len(list), limit)
	for i := range list[:min(len(list), limit)] {
		c.at(field, i, P(&list[i]))
	}
}

// fail notes that a field is wrong.
func (c *checker) fail(field, why string) {
	if len(c.problems) >= MaxProblems {
		return
	}
	var b strings.Builder
	for _, s := range c.path {
		b.WriteString(s.field)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
		b.WriteByte('.')
	}
	c.problems = append(c.problems, Problem{Path: b.String() + field, Why: why})
}

// required checks a text that must not be empty.
func (c *checker) required(field, s string, limit int) {
	if s == "" {
		c.fail(field, "it is missing")
	}
	c.bounded(field, s, limit)
}

// bounded checks the length of a text, in bytes.
func (c *checker) bounded(field, s string, limit int) {
	if len(s) > limit {
		c.fail(field, "it has "+strconv.Itoa(len(s))+" bytes; at most "+strconv.Itoa(limit)+" are allowed")
	}
}

// count checks the length of a list.
func (c *checker) count(field string, n, limit int) {
	if n > limit {
		c.fail(field, "it has "+strconv.Itoa(n)+" elements; at most "+strconv.Itoa(limit)+" are allowed")
	}
}

// within checks a number.
func (c *checker) within(field string, n, low, high int64) {
	if n < low || n > high {
		c.fail(field, "it is "+strconv.FormatInt(n, 10)+"; it must be from "+strconv.FormatInt(low, 10)+" to "+strconv.FormatInt(high, 10))
	}
}

// notNegative checks a count or a size.
func (c *checker) notNegative(field string, n int64) {
	if n < 0 {
		c.fail(field, "it is negative")
	}
}

// reserved checks that a field which only the host fills in is empty.
func (c *checker) reserved(field, s string) {
	if s != "" {
		c.fail(field, "only the host sets it; leave it empty")
	}
}

// word checks a stable word, for programs.
func (c *checker) word(field, s string) {
	odd := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if s == "" || len(s) > 64 || strings.IndexFunc(s, odd) >= 0 {
		c.fail(field, "it must be a word of 1 to 64 letters a-z, digits and underscores")
	}
}

// url checks an absolute URL, as far as its beginning and length go: who uses it parses
// it, and checks it against a grant.
func (c *checker) url(field, s string) {
	if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		c.fail(field, "it must begin with https:// or http://")
	}
	c.bounded(field, s, MaxURLBytes)
}

// attributes checks a map of texts.
func (c *checker) attributes(field string, m map[string]string) {
	c.count(field, len(m), MaxAttributes)
	for key, value := range m {
		if len(key) > MaxIDBytes || len(value) > MaxTextBytes {
			c.fail(field, "a name has more than 512 bytes, or a text more than 65536")
			return
		}
	}
}

// known checks one of a list of words, and tells whether it is.
func known[T ~string](c *checker, field string, word T, words []T) bool {
	if !slices.Contains(words, word) {
		c.fail(field, "it is none of the words that the contract knows: "+joined(words))
		return false
	}
	return true
}

func joined[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

// member is a field that is set for one kind of a document.
type member struct {
	field string
	value checkable
	set   bool
}

// exactly checks that of the members the one called field is set, and no other; and what
// stands in those that are.
func (c *checker) exactly(field string, members []member) {
	for _, m := range members {
		switch {
		case m.set && m.field != field:
			c.fail(m.field, "it is set, and the kind says otherwise; leave it out")
		case !m.set && m.field == field:
			c.fail(m.field, "it is missing, and the kind calls for it")
		case m.set:
			c.in(m.field, m.value)
		}
	}
}
