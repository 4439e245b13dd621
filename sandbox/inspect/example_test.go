package inspect_test

import (
	"fmt"
	"log"

	"github.com/seed75a60ee1/patchbay/sandbox/inspect"
)

func ExampleAnalyse() {
	// An empty module: not even a plugin.
	report, err := inspect.Analyse([]byte("\x00asm\x01\x00\x00\x00"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict.Text)
	for _, f := range report.Findings {
		fmt.Printf("%s %s\n", f.Severity, f.ID)
	}
	// Output:
	// Do not approve: 2 critical, 1 info.
	// critical manifest-missing
	// critical export-receive-missing
	// info toolchain-unknown
}
