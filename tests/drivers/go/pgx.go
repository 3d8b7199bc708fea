// pgx v4: binary and text results, statement caches, the simple protocol, batches, CopyFrom, LISTEN, cancel by context.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var background = context.Background()

// The ways pgx can ask. A statement cache names what it prepared, or only remembers its description.
var ways = []string{"prepare", "describe", "no cache", "simple"}

func connected(way, options string) *pgx.Conn {
	config, err := pgx.ParseConfig(options)
	must(err)
	config.BuildStatementCache = nil
	switch way {
	case "prepare":
		config.BuildStatementCache = func(conn *pgconn.PgConn) stmtcache.Cache {
			return stmtcache.New(conn, stmtcache.ModePrepare, 100)
		}
	case "describe":
		config.BuildStatementCache = func(conn *pgconn.PgConn) stmtcache.Cache {
			return stmtcache.New(conn, stmtcache.ModeDescribe, 100)
		}
	case "simple":
		config.PreferSimpleProtocol = true
	}
	conn, err := pgx.ConnectConfig(background, config)
	must(err)
	return conn
}

type asker interface {
	Query(ctx context.Context, text string, arguments ...interface{}) (pgx.Rows, error)
}

// rowsOf gives the values as they came: bytes, in the format that was asked for.
func rowsOf(rows pgx.Rows, err error) (fields, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all, columns := [][]interface{}{}, []string{}
	for rows.Next() {
		row := []interface{}{}
		for i, value := range rows.RawValues() {
			row = append(row, shown(rows.FieldDescriptions()[i].Format, value))
		}
		all = append(all, row)
	}
	for _, column := range rows.FieldDescriptions() {
		columns = append(columns, fmt.Sprint(string(column.Name), column.DataTypeOID, column.TypeModifier, column.Format))
	}
	return fields{"columns": columns, "rows": all, "tag": string(rows.CommandTag())}, rows.Err()
}

func shown(format int16, value []byte) interface{} {
	switch {
	case value == nil:
		return nil
	case format == pgx.BinaryFormatCode:
		return hex.EncodeToString(value)
	}
	return string(value)
}

func seen(err error) fields {
	var own *pgconn.PgError
	if !errors.As(err, &own) {
		return fields{"error": err.Error()}
	}
	return fields{"error": []interface{}{own.Severity, own.Code, own.Message, own.Detail, own.Hint, own.Position,
		own.TableName, own.ConstraintName, own.Routine}}
}

func try(what string, found fields, err error) {
	if err != nil {
		found = seen(err)
	}
	tell(what, found)
}

func ask(db asker, what, text string, arguments ...interface{}) {
	found, err := rowsOf(db.Query(background, text, arguments...))
	try(what, found, err)
}

const few = "SELECT id, name, email, birth_date, balance, created_at, signature, tags" +
	" FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id"

func same() {
	for _, way := range ways {
		db := connected(way, "")
		for _, text := range statements() {
			ask(db, way+": "+text, text)
		}
		for low := 1; low < 5; low++ {
			ask(db, way+" parameters", few, low, low+3)
			ask(db, way+" as text", few, pgx.QueryResultFormats{pgx.TextFormatCode}, low, low+3)
		}
		ask(db, way+" types", "SELECT $1::text[], $2::bytea, $3::timestamptz, $4::float8, $5::bool, $6::jsonb, $7::date",
			[]string{"a", "b c"}, []byte{0, 255}, time.Unix(1700000000, 0), 0.1, true, map[string]int{"a": 1}, time.Unix(0, 0))
		must(db.Close(background))
	}
	db := connected("prepare", "application_name=gophers search_path=shop")
	ask(db, "settings", "SELECT current_setting('application_name'), current_setting('search_path')")
	_, err := db.Prepare(background, "by name", few)
	must(err)
	ask(db, "by name", "by name", 3, 9)
	must(db.Deallocate(background, "by name"))
	batches(db)
	transactions(db)
	copies(db)
	notifications(db)
	must(db.Close(background))
	cancelled()
	pool()
}

func batches(db *pgx.Conn) {
	for _, failing := range []int{1, 0} {
		batch := &pgx.Batch{}
		for i := 0; i < 20; i++ {
			batch.Queue("SELECT $1::int * 2", i)
		}
		batch.Queue("SELECT 1 / $1::int", failing)
		batch.Queue("SELECT count(*) FROM shop.orders WHERE id < $1", 100)
		results := db.SendBatch(background, batch)
		for i := 0; i < batch.Len(); i++ {
			found, err := rowsOf(results.Query())
			try("batch", found, err)
		}
		try("batch closed", nil, results.Close())
	}
}

func transactions(db *pgx.Conn) {
	tx, err := db.BeginTx(background, pgx.TxOptions{IsoLevel: pgx.Serializable})
	must(err)
	ask(tx, "changed", "UPDATE shop.orders SET note = $1 WHERE id < 4 RETURNING id, note", "x")
	nested, err := tx.Begin(background)
	must(err)
	ask(nested, "failing", "SELECT 1 / $1::int", 0)
	ask(nested, "after it", "SELECT 1")
	must(nested.Rollback(background))
	ask(tx, "after the savepoint", "SELECT note FROM shop.orders WHERE id = 1")
	must(tx.Rollback(background))
}

func copies(db *pgx.Conn) {
	_, err := db.Exec(background, "CREATE TEMP TABLE copied (a int, b text, c timestamptz)")
	must(err)
	rows := [][]interface{}{}
	for i := 0; i < 3000; i++ {
		rows = append(rows, []interface{}{i, fmt.Sprint("row ", i), time.Unix(int64(i), 0)})
	}
	count, err := db.CopyFrom(background, pgx.Identifier{"copied"}, []string{"a", "b", "c"}, pgx.CopyFromRows(rows))
	must(err)
	tell("copied in", fields{"count": count})
	var out bytes.Buffer
	_, err = db.PgConn().CopyTo(background, &out, "COPY (SELECT * FROM copied WHERE a < 5) TO STDOUT (FORMAT binary)")
	must(err)
	tell("copied out", fields{"data": hex.EncodeToString(out.Bytes())})
	_, err = db.PgConn().CopyFrom(background, bytes.NewBufferString("x\ty\tz\n"), "COPY copied FROM STDIN")
	try("a bad copy", nil, err)
	ask(db, "after copying", "SELECT count(*), max(c) FROM copied")
}

func notifications(db *pgx.Conn) {
	_, err := db.Exec(background, "LISTEN news")
	must(err)
	_, err = db.Exec(background, "SELECT pg_notify('news', 'told')")
	must(err)
	told, err := db.WaitForNotification(background)
	must(err)
	tell("notified", fields{"channel": told.Channel, "payload": told.Payload})
}

func cancelled() {
	db := connected("prepare", "")
	defer db.Close(background)
	sleeping := make(chan error)
	go func() {
		_, err := db.Exec(background, "SELECT pg_sleep(60)")
		sleeping <- err
	}()
	time.Sleep(300 * time.Millisecond)
	must(db.PgConn().CancelRequest(background))
	try("cancelled", nil, <-sleeping)
	ask(db, "after the cancel", "SELECT 1")
	ctx, stop := context.WithTimeout(background, 200*time.Millisecond)
	defer stop()
	_, err := db.Exec(ctx, "SELECT pg_sleep(60)")
	tell("cut off", fields{"error": pgconn.Timeout(err), "closed": db.IsClosed()})
}

func pool() {
	config, err := pgxpool.ParseConfig("pool_max_conns=3")
	must(err)
	many, err := pgxpool.ConnectConfig(background, config)
	must(err)
	for i := 0; i < 6; i++ {
		ask(many, "pool", "SELECT count(*) + $1 FROM shop.orders", i)
	}
	many.Close()
}

// customers are decoded by pgx from the format asked for and shown as text.
func customers(db asker, what, text string, arguments ...interface{}) {
	rows, err := db.Query(background, text, arguments...)
	must(err)
	defer rows.Close()
	all := [][]interface{}{}
	for rows.Next() {
		values, err := rows.Values()
		must(err)
		for i, value := range values {
			values[i] = decoded(value)
		}
		all = append(all, values)
	}
	must(rows.Err())
	tell(what, fields{"customers": all})
}

func decoded(value interface{}) interface{} {
	switch value := value.(type) {
	case pgtype.Numeric:
		var number float64
		must(value.AssignTo(&number))
		return fmt.Sprint(number)
	case pgtype.TextArray:
		text, err := value.EncodeText(nil, nil)
		must(err)
		return string(text)
	}
	return asText(value)
}

func refusal(what string, err error) {
	var own *pgconn.PgError
	sqlstate := "none"
	if errors.As(err, &own) {
		sqlstate = own.Code
	}
	tell(what, fields{"sqlstate": sqlstate})
}

func refused(db asker, what, text string, arguments ...interface{}) {
	_, err := rowsOf(db.Query(background, text, arguments...))
	refusal(what, err)
}

func analyst() {
	for _, way := range ways {
		db := connected(way, "")
		for i := 0; i < 2; i++ {
			customers(db, way+" parameters", masked+"$1 ORDER BY id", 20)
			text := pgx.QueryResultFormats{pgx.TextFormatCode}
			customers(db, way+" as text", masked+"$1 ORDER BY id", text, 20)
		}
		refused(db, "blocked: parameters", "SELECT * FROM shop.salaries WHERE amount > $1", 1)
		refused(db, "blocked: column", "SELECT card_number FROM shop.payments")
		refused(db, "not granted: delete", "DELETE FROM shop.orders WHERE id = $1", 1)
		refused(db, "not granted: listen", "LISTEN news")
		tx, err := db.Begin(background)
		must(err)
		refused(tx, "blocked: in a transaction", "SELECT * FROM shop.salaries")
		refused(tx, "failed transaction", "SELECT 1")
		must(tx.Rollback(background))
		must(db.Close(background))
	}
	db := connected("prepare", "")
	mixed := &pgx.Batch{}
	mixed.Queue(masked+"$1 ORDER BY id", 20)
	mixed.Queue("SELECT * FROM shop.salaries")
	results := db.SendBatch(background, mixed)
	_, err := results.Exec()
	refusal("blocked: batch", err)
	_ = results.Close()
	_, err = db.CopyFrom(background, pgx.Identifier{"shop", "orders"}, []string{"note"}, pgx.CopyFromRows(nil))
	refusal("not granted: copy", err)
	_, err = db.PgConn().CopyTo(background, &bytes.Buffer{}, "COPY shop.customers TO STDOUT")
	refusal("not granted: copy out", err)
	_, err = db.Prepare(background, "blocked", "SELECT * FROM shop.salaries")
	refusal("blocked: prepare", err)
	ctx, stop := context.WithTimeout(background, 300*time.Millisecond)
	defer stop()
	other := connected("prepare", "")
	_, err = other.Exec(ctx, "SELECT count(*) FROM shop.orders AS a, shop.orders AS b, shop.orders AS c")
	tell("cut off", fields{"ok": pgconn.Timeout(err) && other.IsClosed()})
	customers(db, "after refusals", masked+"20 ORDER BY id")
	must(db.Close(background))
}

func writer() {
	db := connected("prepare", "")
	_, err := db.Exec(background, "LISTEN news")
	must(err)
	_, err = db.Exec(background, "NOTIFY news, 'told'")
	must(err)
	told, err := db.WaitForNotification(background)
	must(err)
	tell("notified", fields{"ok": told.Payload == "told"})
	tx, err := db.Begin(background)
	must(err)
	for _, text := range []string{
		"DECLARE c CURSOR FOR " + masked + "20 ORDER BY id",
		"PREPARE p (int) AS " + masked + "$1 ORDER BY id",
		"CREATE TEMP TABLE seen AS " + masked + "20",
	} {
		_, err := tx.Exec(background, text)
		must(err)
	}
	customers(tx, "FETCH", "FETCH ALL FROM c")
	customers(tx, "EXECUTE", "EXECUTE p (20)")
	customers(tx, "temporary table", "SELECT * FROM seen WHERE id <= $1 ORDER BY id", 20)
	var out bytes.Buffer
	_, err = db.PgConn().CopyTo(background, &out, "COPY ("+masked+"20 ORDER BY id) TO STDOUT")
	must(err)
	tell("COPY", fields{"customers": fromCopy(out.String())})
	items := pgx.CopyFromRows([][]interface{}{{1, 99, 1, 1, 1, 1}})
	columns := []string{"order_id", "line", "tenant_id", "product_id", "quantity", "unit_price"}
	count, err := tx.CopyFrom(background, pgx.Identifier{"shop", "order_items"}, columns, items)
	must(err)
	tell("CopyFrom", fields{"ok": count == 1})
	refused(tx, "blocked: DECLARE", "DECLARE d CURSOR FOR TABLE shop.salaries")
	refused(tx, "failed transaction", "SELECT 1")
	must(tx.Rollback(background))
	must(db.Close(background))
}

// changed holds prepared statements while policies change: it asks before, waits for a line, asks again.
func changed() {
	commands := bufio.NewScanner(os.Stdin)
	for db := connected("prepare", ""); ; {
		// An error is in the rows, too.
		rows, _ := db.Query(background, "SELECT * FROM shop.customers WHERE id = $1", 1)
		found := ""
		for rows.Next() {
			found = fmt.Sprint(len(rows.FieldDescriptions()), " ", string(rows.RawValues()[4]))
		}
		if own := (*pgconn.PgError)(nil); errors.As(rows.Err(), &own) {
			found = own.Code
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
