// Command patchbay runs a Patchbay host, makes and inspects plugins, and operates a host
// through its management API.
//
// "patchbay serve" is the host. "patchbay plugin build", "inspect", "call", "replay" and
// "compare" work on files and need no host; neither do "restore", "compact" and "doctor
// --data", which work on a data folder. Every other command talks to the host at --url with --token.
//
// What a person or a program asked for goes to standard output, as a table or with --json
// as JSON; everything else goes to standard error. The exit status tells what happened:
//
//	0  it worked
//	1  it failed
//	2  the command line was wrong
//	3  the host knows no such thing, or the token may not see it
//	4  the token is missing, no longer valid, or not allowed to
//	5  the host did not answer, or cannot now; later it may
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	s := &session{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isatty.IsTerminal(os.Stderr.Fd()),
	}
	code := run(ctx, s, os.Args[1:])
	stop()
	os.Exit(code)
}

// grammar is the command line.
type grammar struct {
	URL   string `name:"url" placeholder:"URL" env:"PATCHBAY_URL" default:"http://127.0.0.1:8081" help:"Management address of the host."`
	Token string `placeholder:"JWT" env:"PATCHBAY_TOKEN" help:"Token to present to the host."`
	JSON  bool   `name:"json" help:"Print JSON instead of tables."`

	Serve      serveCommand      `cmd:"" help:"Run the host until it is told to stop."`
	Plugin     pluginCommand     `cmd:"" help:"Build, inspect, approve and revoke plugins."`
	Workspace  workspaceCommand  `cmd:"" help:"Workspaces and the plugins they may use."`
	Connection connectionCommand `cmd:"" help:"Connections to platforms."`
	App        appCommand        `cmd:"" help:"The operator's own accounts with platforms, which connections share."`
	Bridge     bridgeCommand     `cmd:"" help:"Connections patched together."`
	Message    messageCommand    `cmd:"" help:"Send and read messages."`
	Subscriber subscriberCommand `cmd:"" help:"URLs that events are sent to."`
	Event      eventCommand      `cmd:"" help:"Read events, or follow them as they come."`
	Command    commandCommand    `cmd:"" help:"What the host was asked to do, and what became of it."`
	Delivery   deliveryCommand   `cmd:"" help:"What platforms delivered, and replays of it."`
	Notice     noticeCommand     `cmd:"" help:"What a person may want to act upon."`
	Media      mediaCommand      `cmd:"" help:"Attachments."`
	Audit      auditCommand      `cmd:"" help:"The audit log."`
	Retention  retentionCommand  `cmd:"" help:"How long data is kept."`
	Backup     backupCommand     `cmd:"" help:"Copy everything that a host keeps into one file, while it runs."`
	Restore    restoreCommand    `cmd:"" help:"Make a data folder of a backup."`
	Doctor     doctorCommand     `cmd:"" help:"Examine the data of a host, and explain what is wrong with it."`
	Compact    compactCommand    `cmd:"" help:"Give back the room in a store that holds nothing."`
	Tokens     tokenCommand      `cmd:"" name:"token" help:"Issue and revoke tokens."`
	API        apiCommand        `cmd:"" name:"api" help:"Make any request to the management API."`
	Config     configCommand     `cmd:"" help:"List every configuration field, its default and its meaning."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// Validate refuses an address that no request could be made to.
func (g *grammar) Validate() error {
	u, err := url.Parse(g.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--url (or PATCHBAY_URL) is %q; write it like http://127.0.0.1:8081", g.URL)
	}
	return nil
}

// description stands in the help of the program.
const description = `Patchbay runs messaging connectors as sandboxed WebAssembly plugins.

Exit status: 0 it worked; 1 it failed; 2 the command line was wrong; 3 the host knows no such thing; 4 the token is missing or not allowed to; 5 the host did not answer, or cannot now.`

// run carries out one command line and returns the exit status.
func run(ctx context.Context, s *session, args []string) int {
	g := grammar{Serve: serveCommand{Fields: configFlags()}}
	parser, err := kong.New(&g, kong.Name("patchbay"), kong.Description(description),
		kong.Writers(s.stdout, s.stderr), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		panic("BUG: the grammar is malformed: " + err.Error())
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	line, err := parser.Parse(args)
	if err != nil {
		return s.fail(misuse(err))
	}
	s.url, s.token, s.json = g.URL, g.Token, g.JSON
	if err := line.Run(s); err != nil {
		return s.fail(err)
	}
	return 0
}

// misuse turns a refusal of the parser into a usage error with a hint to the right help.
func misuse(err error) error {
	hint := "see: patchbay --help"
	if parse := new(kong.ParseError); errors.As(err, &parse) {
		if node := parse.Context.Selected(); node != nil {
			hint = "see: " + node.FullPath() + " --help"
		}
	}
	return &usageError{why: err.Error(), hint: hint}
}

// session is what a command works with.
type session struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// terminal tells that a person watches stderr.
	terminal   bool
	url, token string
	json       bool
}
