// knex: its query builder, schema questions and transactions, over node-postgres.
const makeKnex = require('knex')
const pg = require('pg')
const { MASKED, print, seen, refused, customers, main } = require('./lines')

pg.types.setTypeParser(pg.types.builtins.DATE, (value) => value)
const settings = { client: 'pg', connection: {}, searchPath: ['shop', 'public'], pool: { min: 0, max: 3 } }
const connected = () => makeKnex(settings)
const first = (knex) => knex('customers').where('id', '<=', 20).orderBy('id')

async function same() {
  const knex = connected()
  print('rows', { rows: await first(knex).select('*') })
  print('one', { row: await knex('customers').first('id', 'name', 'balance').where({ id: 7 }) })
  const joined = knex('orders as o').join('customers as c', 'c.id', 'o.customer_id').groupBy('c.country')
  print('joined', { rows: await joined.select('c.country').sum('o.total as total').orderBy('c.country') })
  const big = knex.with('big', knex('orders').where('total', '>', 100)).from('big')
  print('paged', { rows: await big.select('id').orderBy('id').limit(5).offset(10) })
  print('columns', { found: await knex('customers').columnInfo() })
  print('tables', { found: [await knex.schema.hasTable('orders'), await knex.schema.hasColumn('orders', 'nothing')] })
  const streamed = []
  for await (const row of knex('products').select('id').orderBy('id').limit(10).stream()) streamed.push(row)
  print('streamed', { rows: streamed })
  const failed = knex.transaction(async (inner) => {
    print('changed', { rows: await inner('orders').where({ id: 1 }).update({ note: 'x' }).returning(['id', 'note']) })
    const added = inner('tenants').insert({ id: 9, name: 'new' }).onConflict('id').merge()
    print('added', { rows: await added.returning('*') })
    throw new Error('rolled back')
  })
  print('transaction', await failed.catch(({ message }) => ({ message })))
  print('missing', await knex('missing').select('*').catch(seen))
  await knex.destroy()
}

async function analyst() {
  const knex = connected()
  const columns = ['id', 'email', 'ssn', 'phone', 'birth_date', 'balance', 'preferences', 'tags', 'signature']
  print('builder', { customers: customers(await first(knex).select(columns)) })
  print('raw', { customers: customers((await knex.raw(MASKED + '? ORDER BY id', [20])).rows) })
  await refused('blocked: builder', () => knex('salaries').select('*'))
  await refused('blocked: column', () => knex('payments').select('card_number'))
  await refused('not granted: update', () => knex('orders').update({ note: 'x' }))
  print('columns', { ok: !('card_number' in (await knex('payments').columnInfo())) })
  print('tables', { ok: !(await knex.schema.hasTable('salaries')) && (await knex.schema.hasTable('orders')) })
  await knex.destroy()
}

async function writer() {
  const knex = connected()
  const columns = ['id', 'email', 'ssn', 'phone', 'birth_date', 'balance', 'preferences', 'tags', 'signature']
  const failed = knex.transaction(async (inner) => {
    const rows = await first(inner).clearOrder().update({ name: 'changed' }).returning(columns)
    print('returning', { customers: customers(rows.sort((a, b) => a.id - b.id)) })
    await inner.raw(`CREATE TEMP TABLE seen AS ${MASKED} 20`)
    print('temporary table', { customers: customers(await inner.withSchema('pg_temp').from('seen').orderBy('id')) })
    await refused("another tenant's row", () =>
      inner.transaction((nested) => nested('orders').insert({ tenant_id: 2, customer_id: 1, ordered_at: new Date() })))
    const stolen = inner.select('employee_id', 'iban').from('salaries')
    await refused('blocked: insert', () => inner('tenants').insert(stolen))
    throw new Error('rolled back')
  })
  print('transaction', { ok: await failed.catch(({ message }) => message === 'rolled back') })
  await knex.destroy()
}

main({ same, analyst, writer })
