package recording

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Section is the name of the custom section that holds a plugin's corpus.
const Section = "patchbay.corpus"

// Bounds on a corpus.
const (
	// MaxCorpusBytes is how long it may be as it stands in the plugin file.
	MaxCorpusBytes = 1 << 20
	// MaxCorpusRecordings is how many recordings it may hold.
	MaxCorpusRecordings = 64
)

// Corpus is the recordings that a vendor ships with a plugin, so that whoever runs it can
// see that it does there what it did here.
type Corpus []Entry

// Entry is one recording of a [Corpus].
type Entry struct {
	// Name says what happens in it; no two have the same.
	Name      string     `json:"name"`
	Recording *Recording `json:"recording"`
}

// corpusFile is a corpus as it is written.
type corpusFile struct {
	Format     int    `json:"format"`
	Recordings Corpus `json:"recordings"`
}

// Encode writes the corpus in as few bytes as it can. What it writes, [DecodeCorpus]
// reads back as it was.
func (c Corpus) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode corpus: %w", err)
	}
	data, err := encode(corpusFile{Format: Format, Recordings: c})
	if err != nil {
		return nil, fmt.Errorf("encode corpus: %w", err)
	}
	if len(data) > MaxCorpusBytes {
		return nil, fmt.Errorf("encode corpus: it has %d bytes; at most %d are allowed: leave some recordings out", len(data), MaxCorpusBytes)
	}
	return data, nil
}

// DecodeCorpus reads a corpus, as strictly as [Decode] reads a recording.
func DecodeCorpus(data []byte) (Corpus, error) {
	if len(data) > MaxCorpusBytes {
		return nil, fmt.Errorf("read corpus: it has %d bytes; at most %d are allowed", len(data), MaxCorpusBytes)
	}
	if err := checkFormat(data); err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	var file corpusFile
	if err := json.Unmarshal(data, &file, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	if err := file.Recordings.check(); err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	for _, e := range file.Recordings {
		e.Recording.Now = e.Recording.Now.UTC()
	}
	return file.Recordings, nil
}

func (c Corpus) check() error {
	if len(c) > MaxCorpusRecordings {
		return fmt.Errorf("it has %d recordings; at most %d are allowed", len(c), MaxCorpusRecordings)
	}
	var wrong []error
	seen := map[string]bool{}
	for _, e := range c {
		switch {
		case e.Name == "" || seen[e.Name]:
			wrong = append(wrong, fmt.Errorf("%q is the name of no recording, or of two", e.Name))
		case e.Recording == nil:
			wrong = append(wrong, fmt.Errorf("%q has no recording", e.Name))
		default:
			if err := e.Recording.check(); err != nil {
				wrong = append(wrong, fmt.Errorf("%q: %w", e.Name, err))
			}
		}
		seen[e.Name] = true
	}
	return errors.Join(wrong...)
}
