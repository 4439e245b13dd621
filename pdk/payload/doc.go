// Package payload reads the JSON that platforms send, which may be anybody's, and writes
// what they are sent.
//
// [Parse] takes one JSON object whole or not at all: duplicate names, invalid UTF-8,
// trailing data, and more of anything than [Limits] allows are refused. What it returns
// is read field by field. An absent field, or null, reads as the zero value; one of the
// wrong type too, and [Object.Err] then tells it. So a reader takes all that it needs
// and asks once:
//
//	doc, err := payload.Parse(body, payload.Limits{})
//	...
//	kind, text := doc.String("type"), doc.Object("data").String("text")
//	if err := doc.Err(); err != nil {
//		// answer 400
//	}
//
// The other way, [New] writes an object: the body of a request, or what a connector keeps.
//
// It uses no reflection, and fits into a small plugin.
package payload
