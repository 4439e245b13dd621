package keyfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/keyfile"
)

func fixed(content string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(content), nil }
}

func TestFirstStartMakesThePrivateFileAndLaterOnesReadIt(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for start, made := range []string{"first", "second"} {
		got, err := keyfile.LoadOrCreate(data, "a.json", fixed(made))
		if err != nil || string(got) != "first" {
			t.Fatalf("start %d: LoadOrCreate = %q, %v, want %q", start, got, err, "first")
		}
	}
	entries, err := os.ReadDir(keyfile.Folder(data))
	if err != nil || len(entries) != 1 {
		t.Fatalf("the folder holds %v, %v, want the key file alone", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v, want 0600", info.Mode(), err)
	}
	if folder, err := os.Stat(keyfile.Folder(data)); err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("folder mode is %v, %v, want 0700", folder.Mode(), err)
	}
}

func TestFilesOthersMayReadAreRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o601, 0o666} {
		t.Run(mode.String(), func(t *testing.T) {
			data := t.TempDir()
			if _, err := keyfile.LoadOrCreate(data, "a", fixed("k")); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(keyfile.Folder(data), "a")
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, err := keyfile.LoadOrCreate(data, "a", fixed("other"))
			if refused := (*keyfile.Error)(nil); !errors.As(err, &refused) || refused.Path != path {
				t.Errorf("LoadOrCreate of a file with mode %v = %v, want *keyfile.Error for %s", mode, err, path)
			}
		})
	}
}

func TestFilesThatAreNoKeysAreRefused(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a folder":        func(path string) error { return os.Mkdir(path, 0o700) },
		"a symbolic link": func(path string) error { return os.Symlink("/etc/hostname", path) },
		"an empty file":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a huge file":     func(path string) error { return os.WriteFile(path, make([]byte, 2<<20), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			if err := os.Mkdir(keyfile.Folder(data), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(keyfile.Folder(data), "a")); err != nil {
				t.Fatal(err)
			}
			_, err := keyfile.LoadOrCreate(data, "a", fixed("other"))
			if refused := (*keyfile.Error)(nil); !errors.As(err, &refused) {
				t.Errorf("LoadOrCreate = %v, want *keyfile.Error", err)
			}
		})
	}
}

func TestHostsThatStartAtOnceShareOneKey(t *testing.T) {
	data := t.TempDir()
	var all sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		all.Go(func() {
			key, err := keyfile.LoadOrCreate(data, "a", fixed("key "+strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
			}
			got[i] = string(key)
		})
	}
	all.Wait()
	for i, key := range got {
		if key != got[0] || key == "" {
			t.Errorf("host %d has key %q, host 0 has %q", i, key, got[0])
		}
	}
}

func TestAFailureToMakeTheKeyLeavesNoFile(t *testing.T) {
	data, broken := t.TempDir(), errors.New("no entropy")
	if _, err := keyfile.LoadOrCreate(data, "a", func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("LoadOrCreate = %v, want %v", err, broken)
	}
	if entries, err := os.ReadDir(keyfile.Folder(data)); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v, want nothing", entries, err)
	}
}
