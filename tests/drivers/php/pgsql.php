<?php
// PHP's pgsql: pg_query, parameters, prepared, asynchronous, COPY, large objects, metadata helpers, NOTIFY.
declare(strict_types=1);

const MASKED = 'SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature'
    . ' FROM shop.customers WHERE id <= ';
const FEW = 'SELECT id, name, birth_date, balance, tags FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id';
const FIELDS = [PGSQL_DIAG_SEVERITY_NONLOCALIZED, PGSQL_DIAG_SQLSTATE, PGSQL_DIAG_MESSAGE_PRIMARY,
    PGSQL_DIAG_MESSAGE_DETAIL, PGSQL_DIAG_MESSAGE_HINT, PGSQL_DIAG_STATEMENT_POSITION, PGSQL_DIAG_TABLE_NAME,
    PGSQL_DIAG_CONSTRAINT_NAME, PGSQL_DIAG_SOURCE_FUNCTION];

function tell(string $what, array $found = []): void
{
    echo json_encode(['what' => $what] + $found, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}

function connected(): PgSql\Connection
{
    return pg_connect('connect_timeout=30', PGSQL_CONNECT_FORCE_NEW);
}

// Whatever is sent comes back as a result, an error too; pg_query and its like would keep that to themselves.
function ask(PgSql\Connection $db, string $way, string $sql, array $values = []): PgSql\Result
{
    match ($way) {
        'simple' => pg_send_query($db, $sql),
        'parameters' => pg_send_query_params($db, $sql, $values),
        'prepared' => pg_send_prepare($db, '', $sql),
    };
    $result = last($db);
    if ($way === 'prepared' && pg_result_status($result) === PGSQL_COMMAND_OK) {
        pg_send_execute($db, '', $values);
        $result = last($db);
    }
    return $result;
}

function last(PgSql\Connection $db): PgSql\Result
{
    while ($next = pg_get_result($db)) {
        $result = $next;
        if (in_array(pg_result_status($result), [PGSQL_COPY_IN, PGSQL_COPY_OUT], true)) {
            break;
        }
    }
    return $result;
}

function found(PgSql\Result $result): array
{
    if (pg_result_error($result)) {
        return ['error' => array_map(fn ($field) => pg_result_error_field($result, $field), FIELDS)];
    }
    $columns = [];
    for ($i = 0; $i < pg_num_fields($result); $i++) {
        $columns[] = [pg_field_name($result, $i), pg_field_type_oid($result, $i), pg_field_size($result, $i),
            pg_field_table($result, $i)];
    }
    $count = [pg_num_rows($result), pg_affected_rows($result)];
    return ['count' => $count, 'columns' => $columns, 'rows' => pg_fetch_all($result, PGSQL_NUM)];
}

function same(): void
{
    foreach (['simple', 'parameters', 'prepared'] as $way) {
        $db = connected();
        foreach (file(getenv('SAME_SQL'), FILE_IGNORE_NEW_LINES) as $sql) {
            tell("$way: $sql", found(ask($db, $way, $sql)));
        }
        pg_close($db);
    }
    $db = connected();
    tell('parameters', found(pg_query_params($db, FEW, [3, 9])));
    pg_prepare($db, 'few', FEW);
    foreach ([1, 2, 3] as $low) {
        tell('by name', found(pg_execute($db, 'few', [$low, $low + 3])));
    }
    pg_query($db, 'DEALLOCATE few');
    tell('several', found(ask($db, 'simple', 'SELECT 1 AS a; SELECT 2 AS b')));
    cursors($db);
    copies($db);
    notifications($db);
    metadata($db);
    large_objects($db);
    cancelled($db);
    pg_close($db);
}

function cursors(PgSql\Connection $db): void
{
    pg_query($db, 'BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id, name FROM shop.customers ORDER BY id');
    foreach (['FETCH 3 FROM c', 'MOVE 5 FROM c', 'FETCH BACKWARD 2 FROM c', 'CLOSE c', 'COMMIT'] as $sql) {
        tell($sql, found(ask($db, 'simple', $sql)));
    }
}

function copies(PgSql\Connection $db): void
{
    pg_query($db, 'CREATE TEMP TABLE copied (a int, b text)');
    tell('copied in', ['ok' => pg_copy_from($db, 'copied', array_map(fn ($n) => "$n\trow $n\n", range(0, 2999)))]);
    tell('copied', found(pg_query($db, 'SELECT count(*), sum(a) FROM copied')));
    pg_query($db, 'DELETE FROM copied WHERE a > 4');
    tell('copied out', ['lines' => pg_copy_to($db, 'copied')]);
    pg_query($db, 'COPY copied FROM STDIN');
    pg_put_line($db, "x\ty\n");
    pg_put_line($db, "\\.\n");
    tell('a bad copy', ['ok' => @pg_end_copy($db)]);
}

function notifications(PgSql\Connection $db): void
{
    pg_query($db, 'LISTEN news');
    pg_query($db, "SELECT pg_notify('news', 'told')");
    $told = pg_get_notify($db, PGSQL_ASSOC);
    tell('notified', ['channel' => $told['message'], 'payload' => $told['payload']]);
    pg_query($db, 'UNLISTEN *');
    pg_query($db, "DO $$ BEGIN RAISE NOTICE 'noticed'; END $$");
    tell('noticed', ['text' => pg_last_notice($db)]);
}

function metadata(PgSql\Connection $db): void
{
    tell('pg_meta_data', ['found' => pg_meta_data($db, 'shop.customers', true)]);
    tell('pg_version', ['found' => pg_version($db)['server']]);
    $result = pg_query($db, 'SELECT id, status FROM shop.orders LIMIT 1');
    tell('pg_field_table', ['found' => [pg_field_table($result, 0), pg_field_type($result, 1)]]);
    tell('pg_select', ['rows' => pg_select($db, 'shop.customers', ['id' => '7'])]);
    pg_query($db, 'BEGIN');
    tell('pg_insert', ['ok' => (bool) pg_insert($db, 'shop.tenants', ['id' => '9', 'name' => 'new'])]);
    tell('pg_update', ['ok' => pg_update($db, 'shop.tenants', ['name' => 'newer'], ['id' => '9'])]);
    tell('pg_delete', ['ok' => pg_delete($db, 'shop.tenants', ['id' => '9'])]);
    pg_query($db, 'ROLLBACK');
    tell('pg_parameter_status', ['found' => pg_parameter_status($db, 'server_encoding')]);
    tell('pg_ping', ['ok' => pg_ping($db)]);
}

function large_objects(PgSql\Connection $db): void
{
    pg_query($db, 'BEGIN');
    $large = pg_lo_open($db, pg_lo_create($db), 'w+');
    pg_lo_write($large, 'large');
    pg_lo_seek($large, 1, PGSQL_SEEK_SET);
    tell('large object', ['read' => pg_lo_read($large, 3)]);
    pg_lo_close($large);
    pg_query($db, 'ROLLBACK');
}

function cancelled(PgSql\Connection $db): void
{
    pg_send_query($db, 'SELECT pg_sleep(60)');
    usleep(300000);
    tell('busy', ['found' => pg_connection_busy($db)]);
    // It cancels and throws the answers away.
    tell('cancelled', ['ok' => pg_cancel_query($db)]);
    tell('after the cancel', found(pg_query($db, 'SELECT 1')));
}

function customers(string $what, PgSql\Result $result): void
{
    if (pg_result_error($result)) {
        throw new Exception("$what: " . pg_result_error($result));
    }
    tell($what, ['customers' => pg_fetch_all($result, PGSQL_NUM)]);
}

function refused(string $what, PgSql\Result $result): void
{
    tell($what, ['sqlstate' => pg_result_error_field($result, PGSQL_DIAG_SQLSTATE) ?? 'none']);
}

function analyst(): void
{
    $db = connected();
    customers('simple', ask($db, 'simple', MASKED . '20 ORDER BY id'));
    foreach (['parameters', 'prepared'] as $way) {
        customers($way, ask($db, $way, MASKED . '$1 ORDER BY id', [20]));
    }
    pg_prepare($db, 'masked', MASKED . '$1 ORDER BY id');
    foreach ([1, 2] as $_) {
        customers('by name', pg_execute($db, 'masked', [20]));
    }
    foreach (['simple', 'parameters', 'prepared'] as $way) {
        refused('blocked: ' . $way, ask($db, $way, 'SELECT * FROM shop.salaries'));
        refused('blocked: column', ask($db, $way, 'SELECT card_number FROM shop.payments'));
        refused('not granted: delete', ask($db, $way, 'DELETE FROM shop.orders'));
        refused('not granted: copy', ask($db, $way, 'COPY shop.customers TO STDOUT'));
        refused('not granted: listen', ask($db, $way, 'LISTEN news'));
        refused('large objects', ask($db, $way, 'SELECT lo_create(0)'));
    }
    pg_query($db, 'BEGIN');
    tell('function call', ['ok' => @pg_lo_create($db) === false]);
    refused('failed transaction', ask($db, 'simple', 'SELECT 1'));
    pg_query($db, 'ROLLBACK');
    tell('pg_copy_to', ['ok' => @pg_copy_to($db, 'shop.customers') === false]);
    $columns = pg_meta_data($db, 'shop.customers');
    tell('pg_meta_data', ['ok' => isset($columns['email']) && !@pg_meta_data($db, 'shop.salaries')]);
    $row = pg_select($db, 'shop.customers', ['id' => '1'])[0];
    tell('pg_select', ['ok' => $row['email'] === 'g***@example.org' && $row['signature'] === null]);
    customers('after refusals', ask($db, 'simple', MASKED . '20 ORDER BY id'));
    pg_close($db);
}

function writer(): void
{
    $db = connected();
    pg_query($db, 'BEGIN; DECLARE c SCROLL CURSOR FOR ' . MASKED . '20 ORDER BY id');
    customers('FETCH', ask($db, 'simple', 'FETCH ALL FROM c'));
    pg_query($db, 'MOVE ABSOLUTE 0 FROM c');
    customers('FETCH with parameters', ask($db, 'parameters', 'FETCH FORWARD 100 FROM c'));
    pg_query($db, 'COMMIT');
    pg_query($db, 'PREPARE p (int) AS ' . MASKED . '$1 ORDER BY id');
    customers('EXECUTE', ask($db, 'simple', 'EXECUTE p (20)'));
    pg_query($db, 'CREATE TEMP TABLE seen AS ' . MASKED . '20');
    customers('temporary table', ask($db, 'parameters', 'SELECT * FROM seen WHERE id <= $1 ORDER BY id', [20]));
    $copied = pg_copy_to($db, '(' . MASKED . '20 ORDER BY id)');
    $row = fn ($line) => array_map(fn ($value) => $value === '\N' ? null : $value, explode("\t", rtrim($line, "\n")));
    tell('COPY', ['customers' => array_map($row, $copied)]);
    tell('blocked COPY', ['ok' => @pg_copy_to($db, 'shop.salaries') === false]);
    refused('blocked: PREPARE', ask($db, 'simple', 'PREPARE b AS TABLE shop.salaries'));
    refused('blocked: DECLARE', ask($db, 'simple', 'DECLARE b CURSOR WITH HOLD FOR TABLE shop.salaries'));
    pg_close($db);
}

// Statements held prepared while policies change: it asks before, waits for a line, asks again.
function changed(): void
{
    $db = connected();
    pg_prepare($db, 'changed', 'SELECT * FROM shop.customers WHERE id = $1');
    do {
        pg_send_execute($db, 'changed', [1]);
        $result = last($db);
        $error = pg_result_error_field($result, PGSQL_DIAG_SQLSTATE);
        tell('prepared', ['found' => $error ?: pg_num_fields($result) . ' ' . pg_fetch_assoc($result)['email']]);
        tell('asked');
    } while (fgets(STDIN) !== false);
}

$argv[1]();
tell('done');
