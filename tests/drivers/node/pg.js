// node-postgres: simple, parameterised, prepared by name, binary, cursors, COPY streams, NOTIFY, cancel.
const { pipeline } = require('stream/promises')
const readline = require('readline')
const { Readable } = require('stream')
const pg = require('pg')
const Cursor = require('pg-cursor')
const copy = require('pg-copy-streams')
const { MASKED, text, print, seen, refused, statements, customers, main } = require('./lines')

// pg decodes binary values as if they were UTF-8, so that not every type survives it.
const raw = { getTypeParser: (oid, format) => (value) => (format === 'binary' ? 'binary ' + text(value) : value) }

const ways = {
  simple: (sql) => ({ text: sql, rowMode: 'array', types: raw }),
  extended: (sql) => ({ text: sql, values: [], rowMode: 'array', queryMode: 'extended', types: raw }),
  named: (sql, n) => ({ text: sql, name: 's' + n, rowMode: 'array', types: raw }),
  binary: (sql) => ({ text: sql, values: [], rowMode: 'array', queryMode: 'extended', binary: true, types: raw }),
}

async function connected(options = {}) {
  const client = new pg.Client(options)
  await client.connect()
  return client
}

async function everyStatement() {
  for (const [way, make] of Object.entries(ways)) {
    const client = await connected()
    client.on('notice', (notice) => print(way + ' notice', { message: notice.message, code: notice.code }))
    for (const [n, sql] of statements().entries()) {
      print(`${way}: ${sql}`, await client.query(make(sql, n)).then(result, seen))
    }
    await client.end()
  }
}

function result({ command, rowCount, fields, rows }) {
  const columns = fields.map((f) => [f.name, f.tableID, f.columnID, f.dataTypeID, f.dataTypeModifier, f.format])
  return { command, rowCount, columns, rows }
}

async function same() {
  await everyStatement()
  const client = await connected()
  const several = await client.query('SELECT 1 AS a; SELECT 2 AS b; SHOW search_path')
  print('several', { rows: several.map((one) => one.rows) })
  print('a failing one of several', await client.query('SELECT 1; SELECT 1/0; SELECT 2').then(text, seen))
  for (const n of [1, 2, 3]) print('named again', { rows: (await client.query(named(n))).rows })
  await cursors(client)
  await copies(client)
  await notifications(client)
  await cancelled(client)
  await client.end()
  await pool()
}

const range = (length) => Array.from({ length }, (_, n) => n)
const BY_ID = 'SELECT id, name, created_at FROM shop.customers WHERE id = $1'
const named = (n) => ({ name: 'by id', text: BY_ID, values: [n] })

async function cursors(client) {
  const some = 'SELECT id, name FROM shop.customers WHERE id > $1 ORDER BY id LIMIT 25'
  const cursor = client.query(new Cursor(some, [100]))
  for (const count of [10, 10, 10, 10]) print('cursor', { rows: await cursor.read(count) })
  await cursor.close()
  const left = client.query(new Cursor('SELECT id FROM shop.orders'))
  print('cursor left early', { rows: await left.read(2) })
  await left.close()
  print('after the cursor', { rows: (await client.query('SELECT 1')).rows })
}

async function copies(client) {
  await client.query('CREATE TEMP TABLE copied (a int, b text)')
  const lines = range(3000).map((n) => `${n}\trow ${n}\n`)
  await pipeline(Readable.from(lines), client.query(copy.from('COPY copied FROM STDIN')))
  print('copied in', (await client.query('SELECT count(*), sum(a) FROM copied')).rows[0])
  const few = 'COPY (SELECT * FROM copied ORDER BY a LIMIT 5) TO STDOUT'
  print('copied out', { data: await all(client.query(copy.to(few))) })
  const failed = pipeline(Readable.from(['x\ty\n']), client.query(copy.from('COPY copied FROM STDIN')))
  print('a bad copy', await failed.then(text, seen))
}

async function all(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString()
}

async function notifications(client) {
  const told = new Promise((resolve) => client.once('notification', resolve))
  await client.query('LISTEN news')
  await client.query("SELECT pg_notify('news', 'told')")
  const { channel, payload } = await told
  print('notified', { channel, payload })
  await client.query('UNLISTEN *')
}

async function cancelled(client) {
  const other = await connected()
  const query = new pg.Query('SELECT pg_sleep(60)')
  const failed = new Promise((resolve) => query.on('error', resolve))
  client.query(query)
  const sleeping = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
  while ((await other.query(sleeping, [client.processID])).rowCount === 0);
  new pg.Client().cancel(client, query)
  print('cancelled', seen(await failed))
  const limited = await connected({ statement_timeout: 100 })
  print('timed out', await limited.query('SELECT pg_sleep(30)').then(text, seen))
  await Promise.all([other.end(), limited.end()])
}

async function pool() {
  const many = new pg.Pool({ max: 3 })
  const found = await Promise.all(range(20).map((n) => many.query('SELECT count(*) + $1 AS n FROM shop.orders', [n])))
  print('pool', { rows: found.map((one) => one.rows) })
  await many.end()
}

async function analyst() {
  const client = await connected()
  await masked(client)
  await refusals(client)
  const cursor = client.query(new Cursor(MASKED + '$1 ORDER BY id', [20], { rowMode: 'array', types: raw }))
  print('cursor', { customers: customers([...(await cursor.read(3)), ...(await cursor.read(100))]) })
  await cursor.close()
  await refused('not granted: delete', () => client.query('DELETE FROM shop.orders'))
  await refused('not granted: copy', () => all(client.query(copy.to('COPY shop.customers TO STDOUT'))))
  await refused('not granted: listen', () => client.query('LISTEN news'))
  const query = new pg.Query('SELECT count(*) FROM shop.orders AS a, shop.orders AS b, shop.orders AS c')
  const failed = new Promise((resolve) => query.on('error', resolve))
  client.query(query)
  setTimeout(() => new pg.Client().cancel(client, query), 300)
  print('cancelled', { ok: (await failed).code === '57014' })
  await client.end()
}

async function masked(client) {
  const ask = async (what, query) => {
    const { rows } = await client.query({ rowMode: 'array', types: raw, ...query })
    print(what, { customers: customers(rows) })
  }
  await ask('simple', { text: MASKED + '20 ORDER BY id' })
  await ask('parameters', { text: MASKED + '$1 ORDER BY id', values: [20] })
  for (const _ of [1, 2]) await ask('named', { name: 'masked', text: MASKED + '$1 ORDER BY id', values: [20] })
  const texts = { text: 'SELECT email, ssn, phone FROM shop.customers ORDER BY id LIMIT 100', queryMode: 'extended' }
  const [one, other] = [(await client.query(texts)).rows, (await client.query({ ...texts, binary: true })).rows]
  print('binary', { ok: text(one) === text(other) })
}

async function refusals(client) {
  await refused('blocked: simple', () => client.query('SELECT * FROM shop.salaries'))
  await refused('blocked: parameters', () => client.query('SELECT * FROM shop.salaries WHERE amount > $1', [1]))
  await refused('blocked: column', () => client.query('SELECT card_number FROM shop.payments'))
  const blocked = { name: 'b', text: 'TABLE shop.salaries' }
  for (const _ of [1, 2]) await refused('blocked: named', () => client.query(blocked))
  await refused('blocked: cursor', () => client.query(new Cursor('TABLE shop.salaries')).read(1))
  await refused('server files', () => client.query("SELECT pg_read_file('/etc/passwd')"))
  await client.query('BEGIN')
  await refused('blocked: in a transaction', () => client.query('SELECT * FROM shop.salaries'))
  await refused('failed transaction', () => client.query('SELECT 1'))
  await client.query('ROLLBACK')
  print('after refusals', { ok: (await client.query('SELECT 1 AS one')).rows[0].one === 1 })
}

// What takes more grants than `select`.
async function writer() {
  const client = await connected()
  const ask = async (what, sql) => {
    print(what, { customers: customers((await client.query({ text: sql, rowMode: 'array', types: raw })).rows) })
  }
  await client.query(`BEGIN; DECLARE c SCROLL CURSOR FOR ${MASKED} 20 ORDER BY id`)
  await ask('FETCH', 'FETCH ALL FROM c')
  await client.query('MOVE ABSOLUTE 0 FROM c')
  await ask('FETCH again', 'FETCH FORWARD 100 FROM c')
  await client.query('COMMIT')
  await client.query(`PREPARE p (int) AS ${MASKED} $1 ORDER BY id`)
  for (const _ of [1, 2]) await ask('EXECUTE', 'EXECUTE p (20)')
  await client.query(`CREATE TEMP TABLE seen AS ${MASKED} 20`)
  await ask('temporary table', 'SELECT * FROM seen ORDER BY id')
  const copied = await all(client.query(copy.to(`COPY (${MASKED} 20 ORDER BY id) TO STDOUT`)))
  print('COPY', { customers: copied.trimEnd().split('\n').map(fromCopy) })
  const told = new Promise((resolve) => client.once('notification', resolve))
  await client.query('LISTEN news')
  await client.query("SELECT pg_notify('news', 'told')")
  print('notified', { ok: (await told).payload === 'told' })
  await refused('blocked: COPY', () => all(client.query(copy.to('COPY shop.salaries TO STDOUT'))))
  await refused('blocked: DECLARE', () => client.query('BEGIN; DECLARE d CURSOR FOR TABLE shop.salaries'))
  await client.query('ROLLBACK')
  await client.end()
}

const fromCopy = (line) => line.split('\t').map((value) => (value === '\\N' ? null : value))

// Statements held prepared while policies change: it asks before, waits for a line, asks again.
async function changed() {
  const client = await connected()
  const commands = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const query = { name: 'changed', text: 'SELECT * FROM shop.customers WHERE id = $1', values: [1] }
  do {
    const found = await client.query(query).then(({ fields, rows }) => `${fields.length} ${rows[0].email}`, (e) => e.code)
    print('named', { found })
    print('asked')
  } while (!(await commands.next()).done)
  await client.end()
}

main({ same, analyst, writer, changed })
