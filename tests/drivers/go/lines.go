// What the Go programs print: one JSON object a line.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

const masked = "SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature" +
	" FROM shop.customers WHERE id <= "

// fields stand beside `what` in a line.
type fields map[string]interface{}

func tell(what string, found fields) {
	line := fields{"what": what}
	for key, value := range found {
		line[key] = value
	}
	out, err := json.Marshal(line)
	must(err)
	fmt.Println(string(out))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func statements() []string {
	text, err := os.ReadFile(os.Getenv("SAME_SQL"))
	must(err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// asText shows a value as every program does.
func asText(value interface{}) interface{} {
	switch value := value.(type) {
	case nil:
		return nil
	case []byte:
		return `\x` + hex.EncodeToString(value)
	case string:
		return value
	case time.Time:
		return value.UTC().Format("2006-01-02 15:04:05.999999")
	case fmt.Stringer:
		return value.String()
	}
	return fmt.Sprint(value)
}

func fromCopy(data string) [][]interface{} {
	rows := [][]interface{}{}
	for _, line := range strings.Split(strings.TrimSpace(data), "\n") {
		row := []interface{}{}
		for _, value := range strings.Split(line, "\t") {
			if value == `\N` {
				row = append(row, nil)
			} else {
				row = append(row, value)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func play(scenes map[string]func()) {
	scenes[os.Args[len(os.Args)-1]]()
	tell("done", nil)
}
