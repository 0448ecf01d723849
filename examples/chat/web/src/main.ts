import type { Identity } from 'spacetimedb';
import { DbConnection, tables } from './module_bindings';

// Where the database is: ?server= and ?database= of the page's address, or the defaults of `stdb-lua run`.
const params = new URLSearchParams(location.search);
const server = params.get('server') ?? 'http://127.0.0.1:3000';
const database = params.get('database') ?? 'chat';

// Who we are is remembered per tab, so that two tabs are two people.
const tokenKey = `${server}/${database}/token`;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const status = element('status');
const error = element('error');

let me: Identity | undefined;

function nameOf(who: Identity): string {
  return connection.db.user.identity.find(who)?.name ?? who.toHexString().slice(0, 8);
}

function line(author: string, text: string): HTMLLIElement {
  const item = document.createElement('li');
  const name = document.createElement('b');
  name.textContent = author;
  item.append(name, text);
  return item;
}

// The whole page from the whole cache: at this size nothing faster is needed, and nothing can be forgotten.
function draw() {
  const messages = [...connection.db.message.iter()].sort((left, right) =>
    Number(left.sent.microsSinceUnixEpoch - right.sent.microsSinceUnixEpoch)
  );
  element('messages').replaceChildren(...messages.map(message => line(nameOf(message.sender), message.text)));
  element('messages').lastElementChild?.scrollIntoView();

  const people = [...connection.db.user.iter()].filter(user => user.online);
  element('online').replaceChildren(
    ...people.map(user => line(nameOf(user.identity), me?.isEqual(user.identity) ? '(you)' : ''))
  );
}

async function attempt(action: () => Promise<void>, form: HTMLFormElement) {
  try {
    await action();
    error.textContent = '';
    form.reset();
  } catch (failure) {
    error.textContent = failure instanceof Error ? failure.message : String(failure);
  }
}

const connection = DbConnection.builder()
  .withUri(server)
  .withDatabaseName(database)
  .withToken(sessionStorage.getItem(tokenKey) ?? undefined)
  .onConnect((connected, identity, token) => {
    me = identity;
    sessionStorage.setItem(tokenKey, token);
    status.textContent = 'connected';
    connected
      .subscriptionBuilder()
      .onApplied(draw)
      .onError(context => (error.textContent = String(context.event)))
      .subscribe([tables.user, tables.message]);
  })
  .onDisconnect(() => (status.textContent = 'disconnected: reload the page to come back'))
  .onConnectError((_context, failure) => (status.textContent = `no connection to ${server}: ${failure.message}`))
  .build();

connection.db.user.onInsert(draw);
connection.db.user.onUpdate(draw);
connection.db.user.onDelete(draw);
connection.db.message.onInsert(draw);

const nameForm = element<HTMLFormElement>('name-form');
nameForm.addEventListener('submit', event => {
  event.preventDefault();
  void attempt(() => connection.reducers.setName({ name: element<HTMLInputElement>('name').value }), nameForm);
});

const messageForm = element<HTMLFormElement>('message-form');
messageForm.addEventListener('submit', event => {
  event.preventDefault();
  void attempt(() => connection.reducers.sendMessage({ text: element<HTMLInputElement>('text').value }), messageForm);
});
