// lib/pq through database/sql: text and binary parameters, prepared statements, COPY, LISTEN, cancel by context.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lib/pq"
)

var ways = map[string]string{"text": "", "binary": "binary_parameters=yes"}
var order = []string{"text", "binary"}

func connected(options string) *sql.DB {
	db, err := sql.Open("postgres", options)
	must(err)
	db.SetMaxOpenConns(1)
	return db
}

// Anything that can be asked: a pool, a transaction.
type asker interface {
	Query(text string, arguments ...interface{}) (*sql.Rows, error)
}

func rowsOf(rows *sql.Rows, err error) (fields, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	all := [][]interface{}{}
	for rows.Next() {
		row, places := make([]sql.RawBytes, len(columns)), make([]interface{}, len(columns))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		all = append(all, textsOf(row))
	}
	described := []string{}
	for _, column := range columns {
		length, _ := column.Length()
		precision, scale, _ := column.DecimalSize()
		described = append(described, fmt.Sprint(column.Name(), column.DatabaseTypeName(), length, precision, scale))
	}
	return fields{"columns": described, "rows": all}, rows.Err()
}

func textsOf(row []sql.RawBytes) []interface{} {
	shown := make([]interface{}, len(row))
	for i, value := range row {
		if value != nil {
			shown[i] = string(value)
		}
	}
	return shown
}

func seen(err error) fields {
	var own *pq.Error
	if !errors.As(err, &own) {
		return fields{"error": err.Error()}
	}
	return fields{"error": []string{own.Severity, string(own.Code), own.Message, own.Detail, own.Hint, own.Position,
		own.Table, own.Constraint, own.Routine}}
}

func try(what string, found fields, err error) {
	if err != nil {
		found = seen(err)
	}
	tell(what, found)
}

func ask(db asker, what, text string, arguments ...interface{}) {
	found, err := rowsOf(db.Query(text, arguments...))
	try(what, found, err)
}

func same() {
	for _, way := range order {
		db := connected(ways[way])
		for _, text := range statements() {
			ask(db, way+": "+text, text)
		}
		few := "SELECT id, name, balance, created_at, signature FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id"
		ask(db, way+" parameters", few, 5, 25)
		prepared, err := db.Prepare(few)
		must(err)
		for low := 1; low < 4; low++ {
			found, err := rowsOf(prepared.Query(low, low+3))
			try(way+" prepared", found, err)
		}
		ask(db, way+" types", "SELECT $1::text[], $2::bytea, $3::timestamptz, $4::float8, $5::bool",
			pq.Array([]string{"a", "b c"}), []byte{0, 255}, time.Unix(1700000000, 0), 0.1, true)
		ask(db, way+" a wrong parameter", "SELECT $1::int", "five")
		must(prepared.Close())
		must(db.Close())
	}
	db := connected("application_name=gophers search_path=shop")
	ask(db, "settings", "SELECT current_setting('application_name'), current_setting('search_path')")
	several(db)
	transactions(db)
	copies(db)
	cancelled(db)
	must(db.Close())
	notifications()
}

func several(db *sql.DB) {
	rows, err := db.Query("SELECT 1 AS a; SELECT 'two' AS b")
	must(err)
	defer rows.Close()
	for i := 0; i < 2; i++ {
		var value string
		for rows.Next() {
			must(rows.Scan(&value))
		}
		tell("several", fields{"value": value, "more": rows.NextResultSet()})
	}
}

func transactions(db *sql.DB) {
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(err)
	ask(tx, "isolation", "SHOW transaction_isolation")
	ask(tx, "changed", "UPDATE shop.orders SET note = $1 WHERE id < 4 RETURNING id, note", "x")
	ask(tx, "failing", "SELECT 1 / $1::int", 0)
	ask(tx, "after it", "SELECT 1")
	must(tx.Rollback())
	tx, err = db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	must(err)
	ask(tx, "read only", "DELETE FROM shop.orders")
	must(tx.Rollback())
}

func copies(db *sql.DB) {
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("CREATE TEMP TABLE copied (a int, b text, c bytea)")
	must(err)
	statement, err := tx.Prepare(pq.CopyIn("copied", "a", "b", "c"))
	must(err)
	for i := 0; i < 3000; i++ {
		_, err = statement.Exec(i, fmt.Sprint("row\t", i), []byte{1, 2})
		must(err)
	}
	done, err := statement.Exec()
	must(err)
	count, err := done.RowsAffected()
	must(err)
	must(statement.Close())
	tell("copied in", fields{"count": count})
	ask(tx, "copied", "SELECT count(*), sum(a), min(b), sum(octet_length(c)) FROM copied")
	bad, err := tx.Prepare(pq.CopyIn("copied", "a"))
	must(err)
	_, err = bad.Exec("x")
	must(err)
	_, err = bad.Exec()
	try("a bad copy", nil, err)
	must(tx.Rollback())
}

func cancelled(db *sql.DB) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(ctx, "SELECT pg_sleep(60)")
	try("cancelled", nil, err)
	ask(db, "after the cancel", "SELECT 1")
}

func notifications() {
	listener := pq.NewListener("", time.Second, time.Minute, nil)
	must(listener.Listen("news"))
	db := connected("")
	_, err := db.Exec("SELECT pg_notify('news', 'told')")
	must(err)
	told := <-listener.Notify
	tell("notified", fields{"channel": told.Channel, "payload": told.Extra})
	must(listener.Close())
	must(db.Close())
}

func customers(db asker, what, text string, arguments ...interface{}) {
	found, err := rowsOf(db.Query(text, arguments...))
	must(err)
	tell(what, fields{"customers": found["rows"]})
}

func refused(db asker, what, text string, arguments ...interface{}) {
	_, err := rowsOf(db.Query(text, arguments...))
	sqlstate := "none"
	if own := (*pq.Error)(nil); errors.As(err, &own) {
		sqlstate = string(own.Code)
	}
	tell(what, fields{"sqlstate": sqlstate})
}

func analyst() {
	for _, way := range order {
		db := connected(ways[way])
		customers(db, way+" simple", masked+"20 ORDER BY id")
		customers(db, way+" parameters", masked+"$1 ORDER BY id", 20)
		prepared, err := db.Prepare(masked + "$1 ORDER BY id")
		must(err)
		for i := 0; i < 2; i++ {
			found, err := rowsOf(prepared.Query(20))
			must(err)
			tell(way+" prepared", fields{"customers": found["rows"]})
		}
		refused(db, "blocked: simple", "SELECT * FROM shop.salaries")
		refused(db, "blocked: parameters", "SELECT * FROM shop.salaries WHERE amount > $1", 1)
		refused(db, "blocked: column", "SELECT card_number FROM shop.payments WHERE id = $1", 1)
		refused(db, "not granted: delete", "DELETE FROM shop.orders WHERE id = $1", 1)
		refused(db, "not granted: copy", "COPY shop.orders (note) FROM STDIN")
		refused(db, "not granted: listen", "LISTEN news")
		tx, err := db.Begin()
		must(err)
		refused(tx, "blocked: in a transaction", "SELECT * FROM shop.salaries")
		refused(tx, "failed transaction", "SELECT 1")
		must(tx.Rollback())
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		_, err = db.ExecContext(ctx, "SELECT count(*) FROM shop.orders AS a, shop.orders AS b, shop.orders AS c")
		stop()
		tell("cut off", fields{"ok": err != nil && err.Error() == "pq: canceling statement due to user request"})
		customers(db, way+" after refusals", masked+"20 ORDER BY id")
		must(db.Close())
	}
}

func writer() {
	db := connected("")
	tx, err := db.Begin()
	must(err)
	for _, text := range []string{
		"DECLARE c CURSOR FOR " + masked + "20 ORDER BY id",
		"PREPARE p (int) AS " + masked + "$1 ORDER BY id",
		"CREATE TEMP TABLE seen AS " + masked + "20",
	} {
		_, err = tx.Exec(text)
		must(err)
	}
	customers(tx, "FETCH", "FETCH ALL FROM c")
	customers(tx, "EXECUTE", "EXECUTE p (20)")
	customers(tx, "temporary table", "SELECT * FROM seen WHERE id <= $1 ORDER BY id", 20)
	columns := []string{"order_id", "line", "tenant_id", "product_id", "quantity", "unit_price"}
	copied, err := tx.Prepare(pq.CopyInSchema("shop", "order_items", columns...))
	must(err)
	_, err = copied.Exec(1, 99, 1, 1, 1, 1)
	must(err)
	_, err = copied.Exec()
	tell("CopyIn", fields{"ok": err == nil})
	refused(tx, "blocked: DECLARE", "DECLARE d CURSOR FOR TABLE shop.salaries")
	refused(tx, "failed transaction", "SELECT 1")
	must(tx.Rollback())
	must(db.Close())
}

// changed holds a prepared statement while policies change: it asks before, waits for a line, asks again.
func changed() {
	statement, err := connected("").Prepare("SELECT * FROM shop.customers WHERE id = $1")
	must(err)
	for commands := bufio.NewScanner(os.Stdin); ; {
		answer, err := rowsOf(statement.Query(1))
		found := ""
		if own := (*pq.Error)(nil); errors.As(err, &own) {
			found = string(own.Code)
		} else {
			row := answer["rows"].([][]interface{})[0]
			found = fmt.Sprint(len(row), " ", row[4])
		}
		tell("prepared", fields{"found": found})
		tell("asked", nil)
		if !commands.Scan() {
			return
		}
	}
}

func main() {
	play(map[string]func(){"same": same, "analyst": analyst, "writer": writer, "changed": changed})
}
