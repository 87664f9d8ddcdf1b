/** One line of `products.json`. */
export interface Product {
  readonly item_id: string;
  readonly name: string;
  readonly brand: string;
  readonly category: readonly string[];
  readonly price: number;
  readonly stock: number;
  readonly colour: string;
  readonly pattern: string;
}

export interface ProductFile {
  readonly shop: string;
  readonly currency: string;
  readonly products: readonly Product[];
}

export type Route =
  | { readonly page: "home" }
  | { readonly page: "category"; readonly path: readonly string[] }
  | { readonly page: "product"; readonly id: string }
  | { readonly page: "search"; readonly query: string }
  | { readonly page: "basket" };
