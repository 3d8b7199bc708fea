<?php
// PDO's pgsql driver: server-side and emulated prepares, scrollable cursors, COPY, metadata, transactions.
declare(strict_types=1);

const MASKED = 'SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature'
    . ' FROM shop.customers WHERE id <= ';
const FEW = 'SELECT id, name, birth_date, balance, tags, is_active FROM shop.customers'
    . ' WHERE id BETWEEN ? AND ? ORDER BY id';
const WAYS = [
    'server prepare' => [PDO::ATTR_EMULATE_PREPARES => false],
    'emulated' => [PDO::ATTR_EMULATE_PREPARES => true],
    'not named' => [PDO::PGSQL_ATTR_DISABLE_PREPARES => true],
];

function tell(string $what, array $found = []): void
{
    echo json_encode(['what' => $what] + $found, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}

function connected(array $options = []): PDO
{
    $dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE'));
    $always = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_NUM];
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), $options + $always);
}

function asked(PDO $db, string $sql, array $values = [], array $options = []): PDOStatement
{
    $statement = $db->prepare($sql, $options);
    $statement->execute($values);
    return $statement;
}

function shown(mixed $value): mixed
{
    return is_resource($value) ? bin2hex(stream_get_contents($value)) : $value;
}

function rows(PDOStatement $statement): array
{
    return array_map(fn ($row) => array_map(shown(...), $row), $statement->fetchAll());
}

function attempt(string $what, Closure $work): void
{
    try {
        $statement = $work();
        $columns = array_map($statement->getColumnMeta(...), range(0, max(0, $statement->columnCount() - 1)));
        tell($what, ['count' => $statement->rowCount(), 'columns' => $columns, 'rows' => rows($statement)]);
    } catch (PDOException $error) {
        tell($what, ['error' => [$error->getCode(), $error->errorInfo]]);
    }
}

function same(): void
{
    foreach (WAYS as $way => $options) {
        $db = connected($options);
        foreach (file(getenv('SAME_SQL'), FILE_IGNORE_NEW_LINES) as $sql) {
            attempt("$way: $sql", fn () => asked($db, $sql));
        }
        $statement = $db->prepare(FEW);
        foreach ([1, 2, 3] as $low) {
            $statement->execute([$low, $low + 3]);
            tell("$way again", ['rows' => rows($statement)]);
        }
        attempt("$way by name", fn () => asked($db, 'SELECT :a::int + :b::int AS sum', ['a' => 1, 'b' => 2]));
        attempt("$way a wrong parameter", fn () => asked($db, 'SELECT ?::int', ['five']));
    }
    $db = connected();
    scrolled($db);
    transactions($db);
    copies($db);
    attempt('after all', fn () => $db->query('SELECT 1'));
    $facts = [PDO::ATTR_SERVER_VERSION, PDO::ATTR_CLIENT_VERSION];
    tell('attributes', ['found' => array_map($db->getAttribute(...), $facts)]);
}

function scrolled(PDO $db): void
{
    $db->beginTransaction();
    $statement = asked($db, FEW, [1, 9], [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    foreach ([PDO::FETCH_ORI_NEXT, PDO::FETCH_ORI_LAST, PDO::FETCH_ORI_PRIOR, PDO::FETCH_ORI_FIRST] as $where) {
        tell('scrolled', ['row' => $statement->fetch(PDO::FETCH_NUM, $where)]);
    }
    $statement = null;
    $db->commit();
}

function transactions(PDO $db): void
{
    $db->exec('CREATE TEMP TABLE keyed (id serial PRIMARY KEY, b text, c bytea)');
    $insert = $db->prepare('INSERT INTO keyed (b, c) VALUES (?, ?)');
    $insert->bindValue(1, null, PDO::PARAM_NULL);
    $insert->bindValue(2, "\0\1", PDO::PARAM_LOB);
    $insert->execute();
    tell('last insert id', ['found' => $db->lastInsertId('keyed_id_seq')]);
    attempt('inserted', fn () => asked($db, "SELECT id + 0 AS id, b || '' AS b, c || '' AS c FROM keyed"));
    $db->beginTransaction();
    attempt('failing', fn () => asked($db, 'SELECT 1/0'));
    attempt('after it', fn () => asked($db, 'SELECT 1'));
    tell('in a transaction', ['found' => $db->inTransaction()]);
    $db->rollBack();
}

function copies(PDO $db): void
{
    $db->exec('CREATE TEMP TABLE copied (a int, b text)');
    tell('copied in', ['ok' => $db->pgsqlCopyFromArray('copied', array_map(fn ($n) => "$n\trow $n", range(0, 99)))]);
    tell('copied out', ['lines' => array_slice($db->pgsqlCopyToArray('copied'), 0, 5)]);
    try {
        $db->pgsqlCopyFromArray('copied', ["x\ty"]);
    } catch (PDOException $error) {
        tell('a bad copy', ['error' => $error->errorInfo]);
    }
    $db->exec('LISTEN news');
    $db->exec("NOTIFY news, 'told'");
    $told = $db->pgsqlGetNotify(PDO::FETCH_ASSOC, 5000);
    tell('notified', ['channel' => $told['message'], 'payload' => $told['payload']]);
}

function refused(string $what, Closure $work): void
{
    try {
        $work();
        tell($what, ['sqlstate' => 'none']);
    } catch (PDOException $error) {
        tell($what, ['sqlstate' => $error->getCode()]);
    }
}

function analyst(): void
{
    foreach (WAYS as $way => $options) {
        $db = connected($options);
        tell("$way: query", ['customers' => rows($db->query(MASKED . '20 ORDER BY id'))]);
        $statement = $db->prepare(MASKED . '? ORDER BY id');
        foreach ([1, 2] as $_) {
            $statement->execute([20]);
            tell("$way: parameters", ['customers' => rows($statement)]);
        }
        refused('blocked: query', fn () => $db->query('SELECT * FROM shop.salaries'));
        refused('blocked: parameters', fn () => asked($db, 'SELECT * FROM shop.salaries WHERE amount > ?', [1]));
        refused('blocked: column', fn () => asked($db, 'SELECT card_number FROM shop.payments'));
        refused('not granted: delete', fn () => $db->exec('DELETE FROM shop.orders'));
        refused('not granted: copy', fn () => $db->pgsqlCopyToArray('shop.customers'));
        $db->beginTransaction();
        refused('blocked: in a transaction', fn () => $db->query('SELECT * FROM shop.salaries'));
        refused('failed transaction', fn () => $db->query('SELECT 1'));
        $db->rollBack();
        $meta = $db->query('SELECT email FROM shop.customers LIMIT 1')->getColumnMeta(0);
        tell("$way: getColumnMeta", ['ok' => $meta['native_type'] === 'text' && $meta['table'] === 'customers']);
    }
}

function writer(): void
{
    $db = connected([PDO::ATTR_EMULATE_PREPARES => false]);
    $db->beginTransaction();
    $statement = asked($db, MASKED . '? ORDER BY id', [20], [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    tell('scrolled', ['customers' => rows($statement)]);
    $statement = null;
    $db->exec('DECLARE c CURSOR FOR ' . MASKED . '20 ORDER BY id');
    tell('FETCH', ['customers' => rows($db->query('FETCH ALL FROM c'))]);
    $db->exec('CREATE TEMP TABLE seen AS ' . MASKED . '20');
    tell('temporary table', ['customers' => rows(asked($db, 'SELECT * FROM seen WHERE id <= ? ORDER BY id', [20]))]);
    $copied = $db->pgsqlCopyToArray('(' . MASKED . '20 ORDER BY id)');
    $row = fn ($line) => array_map(fn ($value) => $value === '\N' ? null : $value, explode("\t", rtrim($line, "\n")));
    tell('COPY', ['customers' => array_map($row, $copied)]);
    refused('blocked: COPY', fn () => $db->pgsqlCopyToArray('shop.salaries'));
    refused('failed transaction', fn () => $db->query('SELECT 1'));
    $db->rollBack();
}

$argv[1]();
tell('done');
