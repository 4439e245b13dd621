package streaming

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"hash"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// hostName is what the platform is called.
const hostName = "files.carrier.example"

// browser keeps no connection open.
var browser = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// platform hands out files that it makes up as it writes them, and takes files of which it
// keeps only the hashes.
type platform struct {
	t                *testing.T
	server           *httptest.Server
	caFile           string
	stop             chan struct{} // closed when slow answers shall end
	mu               sync.Mutex
	sent             map[string]string // by path: the hash of what was handed out last
	asked            map[string]int
	authorised       map[string]string
	uploaded, linked chan taken
}

// taken is a file that the platform got.
type taken struct {
	sum, contentType, mime string
	bytes                  int64
	err                    error
}

func openPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, stop: make(chan struct{}), sent: map[string]string{}, asked: map[string]int{}, authorised: map[string]string{},
		uploaded: make(chan taken, 10), linked: make(chan taken, 10)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{hostName}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(p.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file/{kind}/{bytes}", p.handOut)
	mux.HandleFunc("POST /upload", p.takeUpload)
	mux.HandleFunc("PUT /tell", p.follow)
	p.server = httptest.NewUnstartedServer(mux)
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	p.server.StartTLS()
	t.Cleanup(func() {
		close(p.stop)
		p.server.Close()
	})
	return p
}

func (p *platform) address() string { return p.server.Listener.Addr().String() }

func url(path string) string { return "https://" + hostName + path }

// pngHead is what makes bytes look like a picture, whatever their sender calls them.
var pngHead = []byte("\x89PNG\r\n\x1a\n")

// handOut writes a file of so many bytes, in the manner that its kind asks for.
func (p *platform) handOut(w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	size, err := strconv.ParseInt(r.PathValue("bytes"), 10, 64)
	if err != nil {
		http.Error(w, "no size", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.asked[r.URL.Path]++
	p.authorised[r.URL.Path] = r.Header.Get("Authorization")
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8") // which it is not
	w.Header().Set("Content-Disposition", `attachment; filename="../../etc/pass.png"`)
	sum, announced := sha256.New(), size
	switch kind {
	case "whole":
	case "truncated":
		announced = size + 1000
	case "endless":
		announced, size = -1, 1<<50
	case "slow":
		_, _ = w.Write(pngHead)
		_ = http.NewResponseController(w).Flush()
		<-p.stop
		return
	case "gone":
		http.NotFound(w, r)
		return
	}
	if announced >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(announced, 10))
	}
	p.write(io.MultiWriter(w, sum), size)
	p.mu.Lock()
	p.sent[r.URL.Path] = hex.EncodeToString(sum.Sum(nil))
	p.mu.Unlock()
}

// write writes bytes that look like a picture and cannot be compressed.
func (p *platform) write(w io.Writer, size int64) {
	random := mathrand.NewChaCha8([32]byte{})
	chunk := make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(chunk)) {
		_, _ = random.Read(chunk) // never fails
		if at == 0 {
			copy(chunk, pngHead)
		}
		if _, err := w.Write(chunk[:min(int64(len(chunk)), size-at)]); err != nil {
			return // the host has heard enough
		}
	}
}

// takeUpload hashes the part "file" of a form.
func (p *platform) takeUpload(w http.ResponseWriter, r *http.Request) {
	form, err := r.MultipartReader()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	got := taken{}
	for {
		part, err := form.NextPart()
		if err != nil {
			break
		}
		if part.FormName() == "mime" {
			text, _ := io.ReadAll(io.LimitReader(part, 100))
			got.mime = string(text)
			continue
		}
		got.contentType = part.Header.Get("Content-Type")
		got.sum, got.bytes, got.err = hashOf(sha256.New(), part)
	}
	w.WriteHeader(http.StatusCreated)
	p.uploaded <- got
}

// follow downloads from a link, as platforms do with what is sent to them.
func (p *platform) follow(w http.ResponseWriter, r *http.Request) {
	link, err := io.ReadAll(io.LimitReader(r.Body, 4096))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	go func() {
		response, err := browser.Get(string(link)) //nolint:noctx // it ends with the host
		if err != nil {
			p.linked <- taken{err: err}
			return
		}
		defer response.Body.Close()
		got := taken{contentType: response.Header.Get("Content-Type")}
		if got.sum, got.bytes, got.err = hashOf(sha256.New(), response.Body); response.StatusCode != http.StatusOK {
			got.err = fmt.Errorf("the link answered %d", response.StatusCode)
		}
		p.linked <- got
	}()
}

func hashOf(h hash.Hash, r io.Reader) (sum string, bytes int64, err error) {
	bytes, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), bytes, err
}

// handedOut is the hash of what was handed out at a path.
func (p *platform) handedOut(path string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[path]
}
