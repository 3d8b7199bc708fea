// postgres (porsager): prepared by itself, simple, pipelined, cursors, COPY streams, LISTEN, cancel.
const { pipeline } = require('stream/promises')
const { Readable } = require('stream')
const postgres = require('postgres')
const { MASKED, text, print, seen, refused, statements, customers, main } = require('./lines')

const dates = { to: 1082, from: [1082, 1114, 1184], parse: text, serialize: text }
const asText = { fetch_types: false, types: { date: dates } }

function connected(options = {}) {
  return postgres({ max: 1, onnotice: (notice) => print('notice', { message: notice.message }), ...asText, ...options })
}

// With fetch_types off the driver never hands out a reserved connection that isn't open yet.
async function reserved(sql) {
  await sql`SELECT 1`
  return sql.reserve()
}

async function everyStatement() {
  const ways = {
    simple: { ask: (sql, words) => sql.unsafe(words).simple().values() },
    extended: { ask: (sql, words) => sql.unsafe(words, [], { prepare: false }).values() },
    prepared: { ask: (sql, words) => sql.unsafe(words, [], { prepare: true }).values() },
  }
  for (const [way, { ask }] of Object.entries(ways)) {
    const sql = connected()
    const held = await reserved(sql)
    for (const words of statements()) print(`${way}: ${words}`, await ask(held, words).then(result, seen))
    held.release()
    await sql.end()
  }
}

function result(rows) {
  const columns = rows.columns && rows.columns.map(({ name, type, table, number }) => [name, type, table, number])
  return { command: rows.command, count: rows.count, columns, rows }
}

async function same() {
  await everyStatement()
  const sql = connected({ fetch_types: true, types: {} })
  const [low, high] = [5, 25]
  for (const _ of [1, 2, 3]) {
    print('again', { rows: await sql`SELECT * FROM shop.customers WHERE id BETWEEN ${low} AND ${high} ORDER BY id` })
  }
  print('arrays', { rows: await sql`SELECT ${['a', 'b c']}::text[] AS a, ${sql.json({ a: 1 })}::jsonb AS b` })
  print('pipelined', { rows: await Promise.all(Array.from({ length: 100 }, (_, n) => sql`SELECT ${n}::int AS n`)) })
  const mixed = [sql`SELECT 1 AS n`, sql`SELECT 1/${0}::int`, sql`SELECT 3 AS n`]
  print('a failing one among them', { all: await Promise.all(mixed.map((one) => one.then((rows) => rows, seen))) })
  print('several', { rows: await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b').simple() })
  print('described', { of: (await sql`SELECT * FROM shop.orders WHERE id = ${1}`.describe()).types })
  for await (const rows of sql`SELECT id FROM shop.customers ORDER BY id LIMIT 25`.cursor(10)) print('cursor', { rows })
  await transactions(sql)
  await copies(sql)
  await notifications(sql)
  const slow = sql`SELECT pg_sleep(60)`.execute()
  setTimeout(() => slow.cancel(), 200)
  print('cancelled', await slow.then(text, seen))
  await sql.end()
}

async function transactions(sql) {
  const failed = sql.begin(async (inner) => {
    print('changed', { rows: await inner`UPDATE shop.orders SET note = ${'x'} WHERE id < 4 RETURNING id, note` })
    await inner.savepoint((nested) => nested`SELECT 1/0`).catch((error) => print('savepoint', seen(error)))
    print('in the transaction', { rows: await inner`SELECT note FROM shop.orders WHERE id = 1` })
    throw new Error('rolled back')
  })
  print('begin', await failed.catch(({ message }) => ({ message })))
}

async function copies(sql) {
  const held = await reserved(sql)
  await held`CREATE TEMP TABLE copied (a int, b text)`
  const lines = Array.from({ length: 3000 }, (_, n) => `${n}\trow ${n}\n`)
  await pipeline(Readable.from(lines), await held`COPY copied FROM STDIN`.writable())
  print('copied in', { rows: await held`SELECT count(*), sum(a) FROM copied` })
  const out = await held`COPY (SELECT * FROM copied ORDER BY a LIMIT 5) TO STDOUT`.readable()
  print('copied out', { data: await all(out) })
  await held`DROP TABLE copied`
  held.release()
}

async function all(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString()
}

async function notifications(sql) {
  let hear
  const told = new Promise((resolve) => (hear = resolve))
  const { unlisten } = await sql.listen('news', hear)
  await sql.notify('news', 'told')
  print('notified', { payload: await told })
  await unlisten()
}

async function analyst() {
  const sql = connected()
  const rows = async (what, query) => print(what, { customers: customers(await query.values()) })
  await rows('simple', sql.unsafe(MASKED + '20 ORDER BY id').simple())
  for (const _ of [1, 2]) await rows('prepared', sql.unsafe(MASKED + '$1 ORDER BY id', [20], { prepare: true }))
  await rows('not prepared', sql.unsafe(MASKED + '$1 ORDER BY id', [20]))
  const parts = []
  await sql.unsafe(MASKED + '20 ORDER BY id').cursor(3, (part) => parts.push(...part))
  print('cursor', { customers: customers(parts) })
  await refused('blocked: simple', () => sql.unsafe('SELECT * FROM shop.salaries').simple())
  await refused('blocked: prepared', () => sql`SELECT * FROM shop.salaries WHERE amount > ${1}`)
  await refused('blocked: cursor', () => sql`SELECT * FROM shop.salaries`.cursor(3, () => {}))
  await refused('not granted: update', () => sql`UPDATE shop.orders SET note = ${'x'}`)
  await refused('not granted: copy', async () => all(await sql`COPY shop.customers TO STDOUT`.readable()))
  const mixed = [sql`SELECT 1 AS n`, sql`SELECT ssn FROM shop.salaries`, sql`SELECT 3 AS n`]
  const answers = await Promise.all(mixed.map((one) => one.then((found) => found[0].n, ({ code }) => code)))
  print('pipelined', { ok: text(answers) === '[1,"42501",3]' })
  const begun = sql.begin(async (inner) => {
    await refused('blocked: in a transaction', () => inner`SELECT * FROM shop.salaries`)
    await refused('failed transaction', () => inner`SELECT 1`)
    throw new Error('rolled back')
  })
  await begun.catch(() => {})
  print('after refusals', { ok: (await sql`SELECT 1 AS one`)[0].one === 1 })
  await sql.end()
}

async function writer() {
  const sql = connected()
  const held = await reserved(sql)
  const rows = async (what, words) => print(what, { customers: customers(await held.unsafe(words).values()) })
  await held.unsafe(`BEGIN; DECLARE c CURSOR FOR ${MASKED} 20 ORDER BY id`).simple()
  await rows('FETCH', 'FETCH ALL FROM c')
  await held`COMMIT`
  await held.unsafe(`CREATE TEMP TABLE seen AS ${MASKED} 20`)
  await rows('temporary table', 'SELECT * FROM seen ORDER BY id')
  const copied = await all(await held.unsafe(`COPY (${MASKED} 20 ORDER BY id) TO STDOUT`).readable())
  const fromCopy = (line) => line.split('\t').map((value) => (value === '\\N' ? null : value))
  print('COPY', { customers: copied.trimEnd().split('\n').map(fromCopy) })
  await refused('blocked: COPY', async () => all(await held`COPY shop.salaries TO STDOUT`.readable()))
  await refused('blocked: PREPARE', () => held.unsafe('PREPARE b AS TABLE shop.salaries'))
  held.release()
  let hear
  const told = new Promise((resolve) => (hear = resolve))
  const { unlisten } = await sql.listen('news', hear)
  await sql.notify('news', 'told')
  print('notified', { ok: (await told) === 'told' })
  await unlisten()
  await sql.end()
}

main({ same, analyst, writer })
