package house

// Direction says what the packages below one folder may import of ours, in tests as
// elsewhere. A package may always import from its own folder.
type Direction struct {
	From string
	// Apart keeps the folders below From to themselves: each may import from its own only.
	Apart bool
	// Below lists folders and May single packages that may be imported, too.
	Below, May []string
	Why        string
}

// Directions is the one way that imports point, per top folder.
var Directions = []Direction{
	{
		From: "pdk",
		Why:  "pdk is what a vendor imports, and depends on nothing of ours",
	},
	{
		// Below plugins/internal is what our emulators share; see the room of that name.
		From: "plugins", Apart: true, Below: []string{"pdk", "plugins/internal"},
		Why: "a plugin sees what any vendor sees: pdk, and its own folder",
	},
	{
		From: "sandbox", May: []string{"pdk/contract", "pdk/contract/manifest"},
		Why: "sandbox knows no HTTP, no storage and no platform; of ours it knows the contract at most",
	},
	{
		From: "host", Below: []string{"sandbox"}, May: []string{"pdk/contract", "pdk/contract/manifest"},
		Why: "host runs plugins of anybody and knows none; of ours it imports sandbox and the contract",
	},
	{
		From: "tests", Below: []string{"host", "sandbox", "pdk", "plugins"},
		Why: "tests sees the product from outside, and may import anything",
	},
}

// Room says who may import a package that implements what others declare.
type Room struct {
	Room    string
	KnownTo []string
	Why     string
}

// Rooms lists the implementations that the deciding rooms (broker, jobs, registry,
// credentials, tenant) must not know, what the server must not, and what connectors must
// not. Their tests may furnish them with the real thing.
var Rooms = []Room{
	{
		Room: "host/store", KnownTo: []string{"host/server", "host/cmd", "tests"},
		Why: "a second store comes next, so only host/server knows which one it is",
	},
	{
		Room: "host/egress", KnownTo: []string{"host/server", "host/cmd", "tests"},
		Why: "the way out is handed in, so that what decides can be tested without one",
	},
	{
		Room: "host/server", KnownTo: []string{"host/cmd", "tests"},
		Why: "server knows all the rooms, so none of them may know it",
	},
	{
		Room: "host/reference", KnownTo: []string{"host/cmd", "tests"},
		Why: "it runs code without a sandbox, for the person who typed the command and nobody else",
	},
	{
		Room: "plugins/internal",
		KnownTo: []string{
			"plugins/elma365/emulator", "plugins/intandem/emulator", "plugins/uchat/emulator", "plugins/uspacy/emulator",
		},
		Why: "our emulators share it, and a connector sees what any vendor sees; what vendors would want goes into pdk",
	},
}

// Reservation keeps a library to the rooms that it was chosen for.
type Reservation struct {
	Library string
	// For lists the folders that may import it; ForTests those whose tests may, too.
	For, ForTests []string
	Why           string
}

// Reserved lists the libraries that must not spread. The tests folder may use any.
var Reserved = []Reservation{
	{
		Library: "github.com/gofiber/fiber", For: []string{"host/ingress", "host/api", "tests"},
		Why: "Fiber lends its buffers, so its types stay where requests come in",
	},
	{
		Library: "go.etcd.io/bbolt", For: []string{"host/store", "tests"},
		Why: "no bbolt type leaves the store",
	},
	{
		Library: "github.com/tetratelabs/wazero", For: []string{"sandbox", "tests"},
		// A guest made with pdk must run on any Extism host: pdk's tests run one on the
		// reference, which shows its wazero.
		ForTests: []string{"pdk"},
		Why:      "untrusted code runs in the sandbox and nowhere else",
	},
	{
		// host/reference is for "patchbay plugin call --reference": a vendor runs a file of
		// their own there, on their own machine. Its room, below, keeps the server from it.
		Library: "github.com/extism/go-sdk", For: []string{"host/reference", "tests"}, ForTests: []string{"sandbox", "pdk"},
		Why: "it is the reference that tests compare with, and never runs untrusted code in the server",
	},
}

// TopLevel is everything that stands at the top of the repository, dot-files aside.
var TopLevel = []string{
	"README.md", "Taskfile.yml", "go.mod", "go.sum", "host", "pdk", "plugins", "sandbox", "tests",
}

// Bounds on files.
const (
	// MaxFileBytes is the largest file that may be kept in the repository.
	MaxFileBytes = 1 << 20
	// MaxGoLines is the longest a hand-written Go file may be.
	MaxGoLines = 600
)
