// pg-native: node-postgres over libpq.
const pg = require('pg').native
const { MASKED, print, seen, refused, statements, customers, main } = require('./lines')

const BY_ID = 'SELECT id, name, balance FROM shop.customers WHERE id = $1'
const raw = { getTypeParser: () => (value) => value }

async function connected() {
  const client = new pg.Client()
  await client.connect()
  return client
}

async function same() {
  const client = await connected()
  for (const sql of statements()) {
    const query = { text: sql, rowMode: 'array', types: raw }
    const result = ({ command, rowCount, rows }) => ({ command, rowCount, rows })
    print(`simple: ${sql}`, await client.query(query).then(result, seen))
  }
  print('parameters', { rows: (await client.query(BY_ID, [1])).rows })
  const named = (n) => ({ name: 'by id', text: BY_ID, values: [n] })
  for (const n of [1, 2]) print('prepared', { rows: (await client.query(named(n))).rows })
  await client.end()
}

async function analyst() {
  const client = await connected()
  const ask = async (what, query) => {
    print(what, { customers: customers((await client.query({ rowMode: 'array', types: raw, ...query })).rows) })
  }
  await ask('simple', { text: MASKED + '20 ORDER BY id' })
  await ask('parameters', { text: MASKED + '$1 ORDER BY id', values: [20] })
  for (const _ of [1, 2]) await ask('named', { name: 'masked', text: MASKED + '$1 ORDER BY id', values: [20] })
  await refused('blocked: simple', () => client.query('SELECT * FROM shop.salaries'))
  await refused('blocked: parameters', () => client.query('SELECT * FROM shop.salaries WHERE amount > $1', [1]))
  await refused('not granted: delete', () => client.query('DELETE FROM shop.orders'))
  print('after refusals', { ok: (await client.query('SELECT 1 AS one')).rows[0].one === 1 })
  await client.end()
}

async function writer() {
  const client = await connected()
  const ask = async (what, text) => {
    print(what, { customers: customers((await client.query({ text, rowMode: 'array', types: raw })).rows) })
  }
  await client.query(`BEGIN; DECLARE c CURSOR FOR ${MASKED} 20 ORDER BY id`)
  await ask('FETCH', 'FETCH ALL FROM c')
  await client.query(`CREATE TEMP TABLE seen AS ${MASKED} 20`)
  await ask('temporary table', 'SELECT * FROM seen ORDER BY id')
  await refused('blocked: DECLARE', () => client.query('DECLARE d CURSOR FOR TABLE shop.salaries'))
  await refused('failed transaction', () => client.query('SELECT 1'))
  await client.query('ROLLBACK')
  await client.end()
}

main({ same, analyst, writer })
