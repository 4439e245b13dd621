package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var madeAt = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// furnished is a data folder with a file of each kind, and some that are none of a backup's.
func furnished(t testing.TB) (dir string, files map[string]string) {
	t.Helper()
	dir = t.TempDir()
	picture := hashOf("picture")
	files = map[string]string{
		"keys/secrets.json": "a key", "keys/media-links.key": "another", "plugins/" + hashOf("wasm") + ".wasm": "wasm",
		"media/" + picture[:2] + "/" + picture + ".bin": "picture",
	}
	for name, content := range files {
		write(t, dir, name, content)
	}
	for _, other := range []string{"media/incoming/put-1", "keys/secrets.json.aa.tmp", "cache/x", "plugins/.incoming-1"} {
		write(t, dir, other, "not ours")
	}
	return dir, files
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// source is a host with a store of so many bytes.
func source(dir string, storeBytes int) (s backup.Source, store []byte) {
	store = bytes.Repeat([]byte("0123456789abcde\n"), storeBytes/16)
	return backup.Source{Data: dir, Schema: 2, Version: "1.2.3", Now: func() time.Time { return madeAt },
		Hold: func() func() { return func() {} },
		Snapshot: func(_ context.Context, w io.Writer) (int64, error) {
			n, err := io.Copy(w, bytes.NewReader(store))
			return n, err
		}}, store
}

func target(dir string) backup.Target {
	return backup.Target{Data: dir, Schema: 2, Verify: func(string) error { return nil }}
}

// contents reads every file below a folder.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", at, info.Mode())
		}
		content, _ := os.ReadFile(at)
		relative, _ := filepath.Rel(dir, at)
		found[relative] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestABackupIsRestoredAsItWas(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		bytes      int
		recipients []string
	}{
		{"small", 4096, nil}, {"in several parts", 9 << 20, nil}, {"exactly one part", 4 << 20, nil},
		{"encrypted", 5 << 20, []string{identity.Recipient().String()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, files := furnished(t)
			from, store := source(dir, tt.bytes)
			recipients, err := backup.Recipients(tt.recipients)
			if err != nil {
				t.Fatal(err)
			}
			var stream bytes.Buffer
			made, err := backup.Write(t.Context(), &stream, from, recipients)
			if err != nil {
				t.Fatal(err)
			}
			if hidden := !bytes.Contains(stream.Bytes(), []byte("a key")); hidden != (recipients != nil) {
				t.Errorf("the key is hidden: %v", hidden)
			}
			to := target(filepath.Join(t.TempDir(), "data"))
			to.Identities = []age.Identity{identity}
			var last int64
			to.Progress = func(n int64) { last = n }
			got, err := backup.Restore(t.Context(), &stream, to)
			if err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(files)
			want["patchbay.db"] = string(store)
			if found := contents(t, to.Data); !maps.Equal(found, want) {
				t.Errorf("restored %d files, want %d", len(found), len(want))
			}
			if got.Bytes() != made.Bytes() || last != got.Bytes() || !got.MadeAt.Equal(madeAt) || len(got.Files) != len(files) {
				t.Errorf("the manifests say %+v and %+v; %d bytes were told of", made.Header, got.Header, last)
			}
			if err := backup.Unfinished(to.Data); err != nil {
				t.Errorf("after it is done: %v", err)
			}
		})
	}
}

// refused fails the test unless the restore is refused, and leaves nothing behind.
func refused(t *testing.T, stream []byte, to backup.Target, why string) {
	t.Helper()
	_, err := backup.Restore(t.Context(), bytes.NewReader(stream), to)
	if problem := new(backup.Refused); !errors.As(err, &problem) || !strings.Contains(err.Error(), why) {
		t.Errorf("Restore = %v, want a refusal with %q", err, why)
	}
	if entries, _ := os.ReadDir(to.Data); len(entries) > 0 && why != "is not empty" {
		t.Errorf("it left %v behind", entries)
	}
}

func made(t testing.TB) []byte {
	t.Helper()
	dir, _ := furnished(t)
	from, _ := source(dir, 4096)
	var stream bytes.Buffer
	if _, err := backup.Write(context.Background(), &stream, from, nil); err != nil {
		t.Fatal(err)
	}
	return stream.Bytes()
}

// What a network or a disk did to a backup is noticed, wherever it did it.
func TestACutOffBackupIsRefused(t *testing.T) {
	whole := made(t)
	end := bytes.LastIndex(whole, []byte("}")) + 1
	for cut := 0; cut < end; cut += 487 {
		to := target(t.TempDir())
		_, err := backup.Restore(t.Context(), bytes.NewReader(whole[:cut]), to)
		if problem := new(backup.Refused); !errors.As(err, &problem) {
			t.Fatalf("cut off after %d of %d bytes: %v", cut, len(whole), err)
		}
	}
}

func TestAFlippedByteIsRefused(t *testing.T) {
	whole := made(t)
	for _, content := range []string{"a key", "wasm", "picture", "0123456789abcde"} {
		at := bytes.LastIndex(whole, []byte(content))
		if content == "0123456789abcde" {
			at = bytes.Index(whole, []byte(content))
		}
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		_, err := backup.Restore(t.Context(), bytes.NewReader(damaged), target(t.TempDir()))
		if problem := new(backup.Refused); !errors.As(err, &problem) {
			t.Errorf("with another %q: %v", content, err)
		}
	}
}

// entry is one entry of a tar file made by hand.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}, content}
}

func packed(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil && e.Typeflag == tar.TypeReg {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// header and manifest are of a backup whose store is "store" and that holds these files.
func header() entry {
	return file("header.json", `{"format":1,"schema":2,"version":"1","made_at":"2026-11-22T06:00:00Z"}`)
}

func manifest(names ...string) entry {
	m := backup.Manifest{Header: backup.Header{Format: 1, Schema: 2, Version: "1", MadeAt: madeAt}, Parts: 1,
		Store: backup.File{Name: "patchbay.db", SizeBytes: 5, SHA256: hashOf("store")}}
	for _, name := range names {
		m.Files = append(m.Files, backup.File{Name: name, SizeBytes: 1, SHA256: hashOf("x")})
	}
	content, _ := json.Marshal(m)
	return file("manifest.json", string(content))
}

func TestHostileBackupsAreRefused(t *testing.T) {
	part, key := file("store/000001", "store"), "keys/a.json"
	link := entry{tar.Header{Name: key, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Format: tar.FormatUSTAR}, ""}
	hard := entry{tar.Header{Name: key, Typeflag: tar.TypeLink, Linkname: "patchbay.db", Format: tar.FormatUSTAR}, ""}
	pax := entry{tar.Header{Name: key, Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{"comment": "x"}}, "x"}
	for _, tt := range []struct {
		name    string
		entries []entry
		why     string
	}{
		{"a path that leads out", []entry{header(), part, file("../evil", "x"), manifest("../evil")}, "nothing that a backup holds"},
		{"a path that leads out of a folder", []entry{header(), part, file("keys/../../evil.json", "x")}, "nothing that a backup holds"},
		{"an absolute path", []entry{header(), part, file("/etc/cron.d/evil", "x")}, "nothing that a backup holds"},
		{"the store by its own name", []entry{header(), part, file("patchbay.db", "x")}, "nothing that a backup holds"},
		{"a symbolic link", []entry{header(), part, link}, "no plain file"},
		{"a hard link", []entry{header(), part, hard}, "no plain file"},
		{"extended headers", []entry{header(), part, pax}, "no plain file"},
		{"a file twice", []entry{header(), part, file(key, "x"), file(key, "y"), manifest(key)}, "twice"},
		{"parts out of order", []entry{header(), file("store/000002", "store"), manifest()}, "out of order"},
		{"no header", []entry{part, manifest()}, "does not begin with its header"},
		{"two headers", []entry{header(), header(), part, manifest()}, "has two"},
		{"something behind the manifest", []entry{header(), part, manifest(), file(key, "x")}, "goes on"},
		{"a file that the manifest does not name", []entry{header(), part, file(key, "x"), manifest()}, "names 0"},
		{"a file that only the manifest names", []entry{header(), part, manifest(key)}, "names 1"},
		{"another file than the manifest names", []entry{header(), part, file("keys/b.json", "x"), manifest(key)}, "keys/a.json is damaged"},
		{"another content", []entry{header(), part, file(key, "y"), manifest(key)}, "keys/a.json is damaged"},
		{"another store", []entry{header(), file("store/000001", "other"), manifest()}, "the store in the backup is damaged"},
		{"no store", []entry{header(), manifest()}, "the store in the backup is damaged"},
		{"a header of the future", []entry{file("header.json", `{"format":9}`)}, "format 9"},
		{"a store of the future", []entry{file("header.json", `{"format":1,"schema":4,"version":"9"}`)}, "schema 4"},
		{"a header with more in it", []entry{file("header.json", `{"format":1,"surprise":1}`)}, "cannot be read"},
		{"nothing", nil, "is no backup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent := t.TempDir()
			refused(t, packed(t, tt.entries...), target(filepath.Join(parent, "data")), tt.why)
			if entries, _ := os.ReadDir(parent); len(entries) > 1 {
				t.Errorf("it wrote outside its folder: %v", entries)
			}
		})
	}
	t.Run("the same made well is taken", func(t *testing.T) {
		stream := packed(t, header(), part, file(key, "x"), manifest(key))
		if _, err := backup.Restore(t.Context(), bytes.NewReader(stream), target(t.TempDir())); err != nil {
			t.Error(err)
		}
	})
	t.Run("no tar file", func(t *testing.T) {
		refused(t, bytes.Repeat([]byte("no tar file "), 1000), target(t.TempDir()), "is no tar file")
	})
}

func TestARestoreDoesNotTouchWhatIsThere(t *testing.T) {
	to := target(t.TempDir())
	write(t, to.Data, "patchbay.db", "in use")
	refused(t, made(t), to, "is not empty")
	if got := contents(t, to.Data); got["patchbay.db"] != "in use" || len(got) != 1 {
		t.Errorf("the folder holds %v", got)
	}
}

func TestWhatIsNotVerifiedIsNotRestored(t *testing.T) {
	to := target(t.TempDir())
	to.Verify = func(dir string) error {
		if err := backup.Unfinished(to.Data); err == nil {
			t.Error("a host could start on it already")
		}
		if _, err := os.Stat(filepath.Join(dir, "patchbay.db")); err != nil {
			t.Error(err)
		}
		return errors.New("the store is not sound")
	}
	_, err := backup.Restore(t.Context(), bytes.NewReader(made(t)), to)
	if err == nil || !strings.Contains(err.Error(), "not sound") {
		t.Errorf("Restore = %v", err)
	}
	if entries, _ := os.ReadDir(to.Data); len(entries) > 0 {
		t.Errorf("it left %v behind", entries)
	}
}

func TestAnEncryptedBackupNeedsItsKey(t *testing.T) {
	mine, _ := age.GenerateX25519Identity()
	other, _ := age.GenerateX25519Identity()
	dir, _ := furnished(t)
	from, _ := source(dir, 1<<20)
	var stream bytes.Buffer
	if _, err := backup.Write(t.Context(), &stream, from, []age.Recipient{mine.Recipient()}); err != nil {
		t.Fatal(err)
	}
	to := target(t.TempDir())
	refused(t, stream.Bytes(), to, "is encrypted")
	to.Identities = []age.Identity{other}
	refused(t, stream.Bytes(), to, "cannot be decrypted")
	to.Identities = []age.Identity{mine}
	for _, cut := range []int{len(stream.Bytes()) - 1, len(stream.Bytes()) / 2} {
		if _, err := backup.Restore(t.Context(), bytes.NewReader(stream.Bytes()[:cut]), to); err == nil {
			t.Errorf("cut off after %d bytes, it was restored", cut)
		}
	}
	if _, err := backup.Restore(t.Context(), &stream, to); err != nil {
		t.Errorf("with its key: %v", err)
	}
}

func TestRecipients(t *testing.T) {
	for _, text := range []string{"", "age1", "ssh-ed25519 AAAA", "age1a\nage1b"} {
		if _, err := backup.Recipients([]string{text}); !errors.As(err, new(*domain.Invalid)) {
			t.Errorf("Recipients(%q) = %v", text, err)
		}
	}
}

// An error in the middle is an error of the whole, and the hold is let go of.
func TestABrokenSnapshotIsNoBackup(t *testing.T) {
	dir, _ := furnished(t)
	from, _ := source(dir, 4096)
	held := 0
	from.Hold = func() func() { held++; return func() { held-- } }
	broken := errors.New("the disk is gone")
	from.Snapshot = func(_ context.Context, w io.Writer) (int64, error) {
		if held != 1 {
			t.Errorf("while the store is copied, %d holds are on", held)
		}
		_, err := io.WriteString(w, "part of it")
		return 10, errors.Join(err, broken)
	}
	var stream bytes.Buffer
	if _, err := backup.Write(t.Context(), &stream, from, nil); !errors.Is(err, broken) || held != 0 {
		t.Errorf("Write = %v; %d holds are left", err, held)
	}
	refused(t, stream.Bytes(), target(t.TempDir()), "cut off")
}

// Whatever bytes come, a restore is refused or complete, and writes nowhere else.
func FuzzRestore(f *testing.F) {
	f.Add(made(f))
	part := file("store/000001", "store")
	f.Add(packed(f, header(), part, file("keys/a.json", "x"), manifest("keys/a.json")))
	f.Add(packed(f, header(), part, file("../evil", "x"), manifest("../evil")))
	f.Fuzz(func(t *testing.T, stream []byte) {
		parent := t.TempDir()
		to := target(filepath.Join(parent, "data"))
		verified := false
		to.Verify = func(string) error { verified = true; return nil }
		_, err := backup.Restore(t.Context(), bytes.NewReader(stream), to)
		entries, _ := os.ReadDir(parent)
		inside, _ := os.ReadDir(to.Data)
		if len(entries) > 1 || err != nil && len(inside) > 0 || err == nil && !verified {
			t.Errorf("error %v; beside the folder %v; in it %v", err, entries, inside)
		}
	})
}

func ExampleRefused() {
	fmt.Println(&backup.Refused{Why: "the backup is encrypted", Fix: "give the file with the key that it was encrypted to: --identity FILE"})
	// Output: the backup is encrypted; give the file with the key that it was encrypted to: --identity FILE
}
