package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// logLine makes the document of a line. A name without a value has an empty one, and of
// two values under one name the later stays.
func logLine(message string, fields []string) *contract.LogLine {
	line := &contract.LogLine{Message: message}
	if len(fields) > 0 {
		line.Fields = make(map[string]string, (len(fields)+1)/2)
	}
	for i := 0; i < len(fields); i += 2 {
		value := ""
		if i+1 < len(fields) {
			value = fields[i+1]
		}
		line.Fields[fields[i]] = value
	}
	return line
}
