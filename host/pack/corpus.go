package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// CorpusDir is where in a connector's folder its recordings are, each a file that ends in
// .json. All of them go into the plugin file.
const CorpusDir = "testdata/corpus"

// readCorpus reads the recordings of a connector's folder; none if it has no such folder.
func readCorpus(dir string) (recording.Corpus, error) {
	folder := filepath.Join(dir, filepath.FromSlash(CorpusDir))
	files, err := os.ReadDir(folder) // in order of their names
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	var corpus recording.Corpus
	var wrong []error
	for _, f := range files {
		name, isRecording := strings.CutSuffix(f.Name(), ".json")
		if !isRecording {
			continue
		}
		r, err := readRecording(filepath.Join(folder, f.Name()))
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		corpus = append(corpus, recording.Entry{Name: name, Recording: r})
	}
	return corpus, errors.Join(wrong...)
}

func readRecording(file string) (*recording.Recording, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := recording.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// readCorpus reads the section with the recordings, of which there may be one.
func (p *Package) readCorpus() {
	problem := manifest.Problem{Field: "section " + recording.Section, Fix: remake}
	switch n := p.sections(recording.Section); n {
	case 0:
		return
	case 1:
	default:
		problem.Why = fmt.Sprintf("the file has %d of them, and a plugin has one at most", n)
		p.blame(&problem)
		return
	}
	section, _ := p.Spec.CustomSection(recording.Section)
	corpus, err := recording.DecodeCorpus(section)
	if err != nil {
		problem.Why = err.Error()
		p.blame(&problem)
		return
	}
	p.Corpus = corpus
	for _, e := range corpus {
		if !slices.Contains(contract.Exports(), contract.Export(e.Recording.Export)) || !p.Spec.HasExport(e.Recording.Export) {
			p.blame(&manifest.Problem{Field: problem.Field, Value: e.Name,
				Why: fmt.Sprintf("it is a recording of %q, which is no ability of the plugin", e.Recording.Export), Fix: "take it out of " + CorpusDir})
		}
	}
}
