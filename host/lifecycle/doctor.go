package lifecycle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/disk"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
	"github.com/seed75a60ee1/patchbay/host/media"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// Broken means that something is lost or will not work.
	Broken Severity = "broken"
	// Warning means that nothing is lost yet, or that only space is.
	Warning Severity = "warning"
)

// Class is what kind of thing is wrong; a stable word for programs.
type Class string

// The classes.
const (
	ClassStore        Class = "store"
	ClassMediaMissing Class = "media.missing"
	ClassMediaDamaged Class = "media.damaged"
	ClassMediaOrphan  Class = "media.orphan"
	ClassPlugin       Class = "plugin.file"
	ClassKey          Class = "key"
	ClassSpace        Class = "space"
	ClassUnread       Class = "unread"
)

// Finding is one thing that is wrong.
type Finding struct {
	Class    Class    `json:"class" enum:"store,media.missing,media.damaged,media.orphan,plugin.file,key,space,unread"`
	Severity Severity `json:"severity" enum:"broken,warning"`
	// What names it, Means says what follows from it, and Do what to do about it.
	What  string `json:"what" doc:"What was found."`
	Means string `json:"means" doc:"What follows from it."`
	Do    string `json:"do" doc:"What to do about it."`
}

// Diagnosis is what an examination came to. It is sound if there are no findings.
type Diagnosis struct {
	At time.Time `json:"at"`
	// Deep tells that every file was read.
	Deep bool `json:"deep"`
	// Schema is the version of the store's layout, and StoreBytes the size of its file, of
	// which FreeBytes hold nothing.
	Schema     int   `json:"schema"`
	StoreBytes int64 `json:"store_bytes"`
	FreeBytes  int64 `json:"free_bytes"`
	// Media, Plugins and Keys count the files that were looked at, and Read those of the
	// attachments that were read.
	Media    int       `json:"media"`
	Read     int       `json:"media_read"`
	Plugins  int       `json:"plugins"`
	Keys     int       `json:"keys"`
	Findings []Finding `json:"findings"`
}

// Subject is what is examined.
type Subject struct {
	// Data is the data folder.
	Data  string
	Store interface {
		Check(ctx context.Context) []string
		AllMedia(ctx context.Context, p domain.Page) ([]domain.Media, string, error)
		Plugins(ctx context.Context) ([]domain.Plugin, error)
	}
	Schema                int
	StoreBytes, FreeBytes int64
	// Deep has every attachment read, and not only a sample.
	Deep bool
	Now  func() time.Time
}

const (
	// sample is one in how many attachments is read if not all are.
	sample = 20
	// sampleAtLeast is how many are read at least.
	sampleAtLeast = 100
	// scarce is how much room on the disk is worth a warning, in bytes: enough for minutes.
	scarce = 1 << 30
	// maxFindings bounds what is told of one class.
	maxFindings = 100
)

// KeyFiles are the keys that a host makes at its first start.
var KeyFiles = []string{"identity.json", "media-links.key", "secrets.json"}

// Examine looks at everything and changes nothing. The error is that of ctx.
func Examine(ctx context.Context, s Subject) (Diagnosis, error) {
	d := Diagnosis{At: s.Now().UTC(), Deep: s.Deep, Schema: s.Schema, StoreBytes: s.StoreBytes, FreeBytes: s.FreeBytes, Findings: []Finding{}}
	x := examination{Subject: s, d: &d}
	for _, part := range []func(context.Context){x.store, x.media, x.plugins, x.keys, x.space} {
		part(ctx)
		if err := ctx.Err(); err != nil {
			return d, err
		}
	}
	slices.SortStableFunc(d.Findings, func(a, b Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	return d, nil
}

type examination struct {
	Subject
	d    *Diagnosis
	told map[Class]int
}

func (x *examination) find(f Finding) {
	if x.told == nil {
		x.told = map[Class]int{}
	}
	if x.told[f.Class]++; x.told[f.Class] <= maxFindings {
		x.d.Findings = append(x.d.Findings, f)
	}
}

// unread tells of a part that could not be examined.
func (x *examination) unread(what string, err error) {
	x.find(Finding{ClassUnread, Broken, fmt.Sprintf("%s cannot be read: %v", what, err),
		"it is not known whether it is sound", "mend what the text names, and examine it again"})
}

func (x *examination) store(ctx context.Context) {
	for _, problem := range x.Store.Check(ctx) {
		x.find(Finding{ClassStore, Broken, problem,
			"the store does not hold together: what it answers about this may be wrong or missing",
			"keep a copy of the data folder, restore the newest backup in which this is not so, and report it: Patchbay alone should never cause it"})
	}
}

// media holds the attachments that are known against the files that are there.
func (x *examination) media(ctx context.Context) {
	files, err := media.Look(filepath.Join(x.Data, "media"))
	if errors.Is(err, fs.ErrNotExist) {
		files, err = nil, nil // a host that never started
	}
	there := map[[sha256.Size]byte]bool{} // and whether for long
	if err == nil && files != nil {
		err = files.Walk(ctx, func(f media.Stored) error {
			there[sumKey(f.Sum)] = f.PutAt.Before(x.d.At.Add(-fileGrace))
			return nil
		})
	}
	if err != nil {
		x.unread("the folder of attachments", err)
		return
	}
	named := map[[sha256.Size]byte]bool{}
	err = eachMedia(ctx, x.Store, func(m domain.Media) error {
		x.d.Media++
		k := sumKey(m.SHA256)
		if _, found := there[k]; found {
			x.readMedia(files, m, named[k])
		} else {
			x.find(Finding{ClassMediaMissing, Broken, fmt.Sprintf("attachment %s of workspace %s: there is no file with its bytes (%s)", m.Handle, m.Workspace, m.SHA256),
				"it cannot be downloaded, and messages that carry it cannot be sent", "restore the file from a backup, into the folder media"})
		}
		named[k] = true
		return nil
	})
	if err != nil {
		x.unread("what is known of attachments", err)
		return
	}
	orphans := 0
	for k, long := range there {
		if long && !named[k] {
			orphans++
		}
	}
	if orphans > 0 {
		x.find(Finding{ClassMediaOrphan, Warning, fmt.Sprintf("%d files of attachments belong to nothing", orphans),
			"they take up room, and hurt nothing else", "nothing: retention removes them a day after they came"})
	}
}

// readMedia compares the bytes of an attachment with its hash, of all or of a sample. The
// sample is the same each time for the same store.
func (x *examination) readMedia(files *media.Files, m domain.Media, known bool) {
	if known || !x.Deep && x.d.Read >= sampleAtLeast && sumKey(m.SHA256)[0] >= 256/sample {
		return
	}
	x.d.Read++
	if err := verify(files, m); err != nil {
		x.find(Finding{ClassMediaDamaged, Broken, fmt.Sprintf("attachment %s of workspace %s: %v", m.Handle, m.Workspace, err),
			"whoever downloads it gets something else than what was uploaded", "restore the file from a backup; if there are several, have the disk looked at"})
	}
}

func verify(files *media.Files, m domain.Media) error {
	content, err := files.Open(m.SHA256)
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, content)
	if err = errors.Join(err, content.Close()); err != nil {
		return fmt.Errorf("its file cannot be read: %w", err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != m.SHA256 {
		return fmt.Errorf("its file has the hash %s, and its name says %s", got, m.SHA256)
	}
	return nil
}

func (x *examination) plugins(ctx context.Context) {
	plugins, err := x.Store.Plugins(ctx)
	if err != nil {
		x.unread("the plugins", err)
		return
	}
	for _, p := range plugins {
		x.d.Plugins++
		if err := verifyPlugin(filepath.Join(x.Data, "plugins"), p.Digest); err != nil {
			severity, means := Warning, "this version does not run now, and could not be made to"
			if p.Active {
				severity, means = Broken, "the plugin cannot be loaded: its deliveries are kept and answered 503, its commands wait"
			}
			x.find(Finding{ClassPlugin, severity, fmt.Sprintf("plugin %s %s (%s): %v", p.Manifest.Name, p.Manifest.Version, p.Digest, err),
				means, "drop the original file into the plugin folder again, or restore it from a backup"})
		}
	}
}

func verifyPlugin(dir, digest string) error {
	file, err := os.Open(filepath.Join(dir, strings.TrimPrefix(digest, "sha256:")+".wasm"))
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != digest {
		return fmt.Errorf("its file has the digest %s", got)
	}
	return nil
}

func (x *examination) keys(context.Context) {
	for _, name := range KeyFiles {
		x.d.Keys++
		if err := keyfile.Check(x.Data, name); err != nil {
			x.find(Finding{ClassKey, Broken, err.Error(), keyMeans[name], "restore the file from a backup, with mode 0600; do not start the host without it: it would make a new one"})
		}
	}
}

var keyMeans = map[string]string{
	"identity.json":   "every token that was issued is refused",
	"media-links.key": "links to attachments that were handed to platforms do not work",
	"secrets.json":    "no secret of any connection or subscriber can be opened: each would have to be entered again",
}

func (x *examination) space(context.Context) {
	free, known := disk.Free(x.Data)
	if known && free < scarce {
		x.find(Finding{ClassSpace, Warning, fmt.Sprintf("the disk has %d bytes left", free),
			"when it is full, deliveries are refused with 503 until there is room", "make room: shorten retention, run patchbay compact, or give it a larger disk"})
	}
	if x.StoreBytes > scarce && x.FreeBytes > x.StoreBytes/2 {
		x.find(Finding{ClassSpace, Warning, fmt.Sprintf("%d of the %d bytes of the store hold nothing", x.FreeBytes, x.StoreBytes),
			"nothing is wrong; the room is used again as the store grows", "to give it back, stop the host and run patchbay compact"})
	}
}
